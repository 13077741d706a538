"""Reads the configuration: defaults, a YAML file, variables `PLIMSOLL_KEEPER__…`, options of a command, in order."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from plimsoll.deploy.document import Document, ParameterError
from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.operations.config import JOBS, JobConfig, KeeperConfig

__all__ = ["PREFIX", "known_keys", "load_config", "sample"]

PREFIX = "PLIMSOLL_KEEPER__"
"""`PLIMSOLL_KEEPER__NODE__POLL=2` sets `node.poll`."""
ALIASES = {"PLIMSOLL_KEYSTORE": "key.keystore", "PLIMSOLL_RPC": "node.providers"}
"""Variables that other commands know, too."""
Tree = dict[str, Any]


def load_config(
    path: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> KeeperConfig:
    """The configuration.

    :param environment: variables; those that begin with `PLIMSOLL_KEEPER__` must name keys.
    :param overrides: values by dotted key, as given by options of the command; None leaves what there is, empty text
        goes back to the default.
    :raises ConfigurationError: with one line for each problem, each with where it comes from and what to write.
    """
    tree: Tree = {}
    source: dict[str, str] = {}
    if path is not None:
        document = _document(path)
        tree = document.data
        source = {key: document.where(key) for key in _leaves(tree)}
    for key, value, name in _variables(environment or {}):
        _set(tree, key, value, name)
        source[key] = name
    for key, value in (overrides or {}).items():
        if value is None:
            continue
        _set(tree, key, value, "options")
        source[key] = "options"
    tree = _without_empty(tree)
    where = _Where(path, source)
    unknown = list(_unknown(tree, KeeperConfig, "", where))
    if unknown:
        raise ConfigurationError("\n".join(unknown))
    try:
        return KeeperConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_explain(detail, where) for detail in error.errors())) from None


def known_keys(model: type[BaseModel] = KeeperConfig, at: str = "") -> list[str]:
    """Every dotted key of the configuration."""
    found = []
    for name, field in model.model_fields.items():
        key = f"{at}{name}"
        inner = _section(field.annotation)
        if key == "jobs":
            found += [f"jobs.{job}.{part}" for job in JOBS for part in JobConfig.model_fields]
        elif inner is not None:
            found += known_keys(inner, f"{key}.")
        else:
            found.append(key)
    return found


def sample(config: KeeperConfig | None = None) -> str:
    """A configuration as YAML, secrets left out: what `plimsoll keeper config` prints."""
    chosen = config if config is not None else KeeperConfig()
    text: str = yaml.safe_dump(chosen.public(), sort_keys=False, allow_unicode=True)
    return text


class _Where:
    """Where a value came from."""

    def __init__(self, path: Path | None, source: Mapping[str, str]) -> None:
        self._path = path
        self._source = source

    def __call__(self, key: str) -> str:
        part = key
        while part:
            if part in self._source:
                return self._source[part]
            inside = [source for known, source in self._source.items() if known.startswith(f"{part}.")]
            if inside:
                return inside[0]
            part = part.rpartition(".")[0]
        return str(self._path) if self._path is not None else "options"


def _document(path: Path) -> Document:
    if not path.exists():
        raise ConfigurationError(f"{path} does not exist; `plimsoll keeper config` prints one to begin with")
    if not path.read_bytes().strip():
        raise ConfigurationError(f"{path} is empty; `plimsoll keeper config` prints one to begin with")
    try:
        document = Document.read(path)
    except ParameterError as error:
        raise ConfigurationError(str(error)) from None
    return Document(path, _without_empty(document.data), document.lines)


def _without_empty(tree: Tree) -> Tree:
    """A key without a value means what it means by default."""
    kept: Tree = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            kept[key] = _without_empty(value)
        elif value not in ("", "null", "~"):
            kept[key] = value
    return kept


def _variables(environment: Mapping[str, str]) -> Iterable[tuple[str, str, str]]:
    for name, key in ALIASES.items():
        if environment.get(name):
            yield key, environment[name], name
    for name in sorted(environment):
        if name.startswith(PREFIX):
            yield name[len(PREFIX) :].lower().replace("__", "."), environment[name], name


def _set(tree: Tree, key: str, value: Any, source: str) -> None:
    *folders, name = key.split(".")
    place = tree
    for folder in folders:
        place = place.setdefault(folder, {})
        if not isinstance(place, dict):
            raise ConfigurationError(f"{source}: {key} cannot be set, {folder} is no section")
    place[name] = value


def _leaves(tree: Tree, at: str = "") -> list[str]:
    found = []
    for name, value in tree.items():
        key = f"{at}{name}"
        found.append(key)
        if isinstance(value, dict):
            found += _leaves(value, f"{key}.")
    return found


def _unknown(tree: Tree, model: type[BaseModel], at: str, where: _Where) -> Iterable[str]:
    """A line for each key that the model does not have."""
    for name, value in tree.items():
        key = f"{at}{name}"
        if name not in model.model_fields:
            yield f"{where(key)}: {key} is no key of the configuration; {_nearest(key)}"
            continue
        if name == "jobs" and isinstance(value, dict):
            for job, settings in value.items():
                if job not in JOBS:
                    yield f"{where(f'{key}.{job}')}: {job} is no job; {_nearest(f'jobs.{job}')}"
                elif isinstance(settings, dict):
                    yield from _unknown(settings, JobConfig, f"jobs.{job}.", where)
            continue
        inner = _section(model.model_fields[name].annotation)
        if inner is not None and isinstance(value, dict):
            yield from _unknown(value, inner, f"{key}.", where)


def _nearest(key: str) -> str:
    known = known_keys()
    sections = sorted({name.rpartition(".")[0] for name in known} - {""} | {f"jobs.{job}" for job in JOBS})
    others = [name for name in (*known, *sections) if not key.startswith(f"{name}.")]
    close = difflib.get_close_matches(key, others, n=1, cutoff=0.6)
    if not close:
        last = key.rpartition(".")[2]
        ends = {name.rpartition(".")[2]: name for name in reversed(known)}
        close = [ends[name] for name in difflib.get_close_matches(last, list(ends), n=1, cutoff=0.6)]
    if close:
        return f"did you mean {close[0]}?"
    above = key.rpartition(".")[0]
    beside = [name for name in (*known, *sections) if name.startswith(f"{above}." if above else "")]
    names = sorted({name[len(above) + 1 if above else 0 :].partition(".")[0] for name in beside})
    return f"known are {', '.join(names)}"


def _section(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        found = [_section(part) for part in typing.get_args(annotation)]
        return next((part for part in found if part is not None), None)
    return None


def _explain(detail: ErrorDetails, where: _Where) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] in ("enum", "less_than", "greater_than", "less_than_equal", "greater_than_equal"):
        message = f"{_given(detail['input'])} is not possible: {message[0].lower()}{message[1:]}"
    elif detail["type"] == "model_type":
        message = "this is a section; write its keys below it, indented"
    return f"{where(key)}: {key + ': ' if key else ''}{message}"


def _given(value: Any) -> str:
    return repr(value) if not isinstance(value, str) or "://" not in value else "the address"
