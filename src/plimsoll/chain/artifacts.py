"""Compiles the contracts of the repository and hands out the results.

Contracts are compiled in units, each with one run of the compiler (Solidity standard JSON): every file that holds a
deployable contract is a unit of its own; interfaces, types and libraries together are one; `contracts/mocks/harness/`
(bare entry points to the libraries, for tests) is one; the other mocks are one, without the IR pipeline because only
speed of compilation matters there. A unit's output is kept under `build/artifacts/` by the hash of everything that
decides it: its sources with all they import, the settings, the compiler and the installed Solidity packages. So an edit
compiles only what depends on it, and two machines with equal sources produce equal bytecode.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

from plimsoll.errors import PlimsollError

__all__ = [
    "Artifact",
    "ArtifactNotFound",
    "Artifacts",
    "CompileError",
    "closure",
    "compile_contracts",
    "compile_patched",
    "read_sources",
    "repository_root",
]

SOLC_VERSION = "0.8.37"
EVM_VERSION = "cancun"
OPTIMIZER_RUNS = 200
SHIM = Path("tools", "solc", f"solc-v{SOLC_VERSION}")
CACHE = Path("build", "artifacts")
OUTPUTS = (
    "abi",
    "evm.bytecode.object",
    "evm.bytecode.linkReferences",
    "evm.deployedBytecode.object",
    "evm.deployedBytecode.immutableReferences",
    "evm.methodIdentifiers",
    "storageLayout",
)
STALE_FILES_KEPT = 64
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
IMPORT = re.compile(r"""\bimport\b[^;"']*["']([^"']+)["'][^;]*;""")
DEPLOYABLE = re.compile(r"^contract\s+\w+", re.MULTILINE)


class CompileError(PlimsollError):
    """The compiler is missing or refused the sources. The text holds one `file:line: message` per error."""


class ArtifactNotFound(PlimsollError):
    """No compiled contract has the requested name."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract. `bytecode` is creation code without constructor arguments; both codes are empty for an
    interface or an abstract contract. `immutable_references` maps AST ids to `{start, length}` spans of deployed code.
    """

    name: str
    source: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes = field(repr=False)
    deployed_bytecode: bytes = field(repr=False)
    immutable_references: Mapping[str, Sequence[Mapping[str, int]]] = field(repr=False)
    method_identifiers: Mapping[str, str] = field(repr=False)
    storage_layout: Mapping[str, Any] = field(repr=False)

    @property
    def code_bytes(self) -> int:
        """Size of the deployed code, which the chain limits to 24,576 bytes."""
        return len(self.deployed_bytecode)


@dataclass(frozen=True, slots=True)
class Artifacts:
    """All compiled contracts of the repository by name."""

    root: Path
    contracts: Mapping[str, Artifact] = field(repr=False)
    warnings: tuple[str, ...] = ()

    def artifact(self, name: str) -> Artifact:
        """The contract called `name`."""
        found = self.contracts.get(name)
        if found is None:
            near = get_close_matches(name, self.contracts, n=3)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise ArtifactNotFound(f"no contract is called {name!r} under {self.root / 'contracts'}{hint}")
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.contracts

    def __iter__(self) -> Iterator[Artifact]:
        return iter(self.contracts.values())

    def __len__(self) -> int:
        return len(self.contracts)


@dataclass(frozen=True, slots=True)
class _Unit:
    """Files compiled together. `targets` give output, `sources` is what they import as well (path → text)."""

    label: str
    targets: tuple[str, ...]
    sources: Mapping[str, str]
    via_ir: bool

    def request(self) -> dict[str, Any]:
        """The standard JSON input. Package imports are not in it: the compiler command reads them itself."""
        return {
            "language": "Solidity",
            "sources": {path: {"content": text} for path, text in sorted(self.sources.items())},
            "settings": {
                "viaIR": self.via_ir,
                "evmVersion": EVM_VERSION,
                "optimizer": {"enabled": True, "runs": OPTIMIZER_RUNS},
                "metadata": {"bytecodeHash": "none", "appendCBOR": False},
                "outputSelection": {path: {"*": list(OUTPUTS)} for path in self.targets},
            },
        }

    def key(self, toolchain: str) -> str:
        """Name of the unit's file in the cache."""
        text = json.dumps(self.request(), sort_keys=True) + toolchain
        return f"{self.label}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def repository_root(start: Path | None = None) -> Path:
    """The repository folder: the nearest one upwards of `start` (default: the current folder), else of this package,
    that holds `ape-config.yaml` and the compiler command."""
    begin = (start or Path.cwd()).resolve()
    for origin in (begin, Path(__file__).resolve()):
        for folder in (origin, *origin.parents):
            if (folder / "ape-config.yaml").is_file() and (folder / SHIM).is_file():
                return folder
    raise CompileError(
        f"no Plimsoll repository (ape-config.yaml and {SHIM}) at or above {begin}; "
        "run the command inside a clone, or install it from one with `make setup`"
    )


def compile_contracts(
    root: Path | None = None, *, only: Sequence[str] = (), force: bool = False, quiet: bool = False
) -> Artifacts:
    """Compiles what has changed below `contracts/` and loads it.

    `only` restricts it to files whose path begins so (`("contracts/OracleHub.sol", "contracts/mocks/")`) and what they
    import; `force` compiles all units again; `quiet` leaves out progress and warnings (both go to standard error).
    Raises `CompileError`. Safe to call from several processes: one compiles while the others wait for it.
    """
    base = root.resolve() if root is not None else repository_root()
    units = _units(read_sources(base), tuple(only))
    toolchain = _toolchain(base)
    cache = base / CACHE
    cache.mkdir(parents=True, exist_ok=True)
    if force or any(_load(cache / f"{unit.key(toolchain)}.json") is None for unit in units):
        with _locked(cache / ".lock"):
            _compile_missing(base, cache, units, toolchain, force=force, quiet=quiet)
            _drop_stale(cache, {unit.key(toolchain) for unit in units})
    outputs = [_require(cache / f"{unit.key(toolchain)}.json") for unit in units]
    warnings = tuple(dict.fromkeys(text for output in outputs for text in output["warnings"]))
    return Artifacts(root=base, contracts=_collect(outputs), warnings=warnings)


def compile_patched(
    root: Path, patched: Mapping[str, str], only: Sequence[str], cache: Path, *, via_ir: bool | None = None
) -> Artifacts:
    """Contracts as they would be if some files had other texts (path → text); the files stay as they are.

    :param only: as for `compile_contracts`.
    :param cache: folder for the output, one file per unit.
    :param via_ir: another pipeline than usual; None: the usual one.
    :raises CompileError: as for `compile_contracts`.
    """
    units = _units(read_sources(root) | dict(patched), tuple(only))
    if via_ir is not None:
        units = [replace(unit, via_ir=via_ir) for unit in units]
    toolchain = _toolchain(root)
    cache.mkdir(parents=True, exist_ok=True)
    _compile_missing(root, cache, units, toolchain, force=False, quiet=True)
    outputs = [_require(cache / f"{unit.key(toolchain)}.json") for unit in units]
    return Artifacts(root=root, contracts=_collect(outputs))


def read_sources(root: Path) -> dict[str, str]:
    """Every Solidity file of the repository: path → text."""
    folder = root / "contracts"
    files = sorted(path for path in folder.rglob("*.sol") if "/." not in path.relative_to(root).as_posix())
    if not files:
        raise CompileError(f"there is no Solidity file below {folder}")
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in files}


def _units(sources: Mapping[str, str], only: tuple[str, ...]) -> list[_Unit]:
    """Cuts the sources into units, the largest first so that it starts first."""
    groups: dict[tuple[str, bool], list[str]] = {}
    for path, text in sources.items():
        if only and not path.startswith(only):
            continue
        if path.startswith("contracts/mocks/harness/"):
            group = ("harness", True)
        elif path.startswith("contracts/mocks/"):
            group = ("mocks", False)
        elif DEPLOYABLE.search(COMMENT.sub("", text)):
            group = (path.removeprefix("contracts/").removesuffix(".sol").replace("/", "."), True)
        else:
            group = ("shared", True)
        groups.setdefault(group, []).append(path)
    if not groups:
        raise CompileError(f"no Solidity file below contracts/ begins with {' or '.join(only)}")
    units = [_Unit(label, tuple(paths), closure(paths, sources), ir) for (label, ir), paths in groups.items()]
    return sorted(units, key=lambda unit: -sum(map(len, unit.sources.values())))


def closure(paths: Sequence[str], sources: Mapping[str, str]) -> dict[str, str]:
    """The files and everything of the repository that they import, directly or not."""
    found: dict[str, str] = {}
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path in found or path not in sources:
            continue
        found[path] = sources[path]
        for name in IMPORT.findall(COMMENT.sub("", sources[path])):
            relative = name.startswith(("./", "../"))
            waiting.append(os.path.normpath(PurePosixPath(path).parent / name) if relative else name)
    return found


def _toolchain(root: Path) -> str:
    """What decides the output besides sources and settings: the compiler and the installed Solidity packages."""
    shim = root / SHIM
    if not shim.is_file():
        raise CompileError(f"the compiler command {shim} is missing; restore it from the repository")
    manifest = root / "package.json"
    parts = [hashlib.sha256(shim.read_bytes()).hexdigest()]
    for package in ["solc", *sorted(json.loads(manifest.read_text(encoding="utf-8")).get("dependencies", {}))]:
        installed = root / "node_modules" / package / "package.json"
        if not installed.is_file():
            raise CompileError(f"the npm package {package} is not installed in {root}; run `make setup`")
        parts.append(f"{package} {json.loads(installed.read_text(encoding='utf-8'))['version']}")
    return "\n".join(parts)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _compile_missing(
    root: Path, cache: Path, units: Sequence[_Unit], toolchain: str, *, force: bool, quiet: bool
) -> None:
    targets = [(unit, cache / f"{unit.key(toolchain)}.json") for unit in units]
    missing = [(unit, path) for unit, path in targets if force or _load(path) is None]
    failures: list[str] = []
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        jobs = [(unit, path, pool.submit(_run_compiler, root, unit, quiet)) for unit, path in missing]
        for _, path, job in jobs:
            errors, output = job.result()
            if errors:
                failures += errors
                continue
            _write(path, output)
            if not quiet:
                for text in output["warnings"]:
                    print(text, file=sys.stderr)
    if failures:
        raise CompileError("the contracts do not compile:\n" + "\n".join(dict.fromkeys(failures)))


def _run_compiler(root: Path, unit: _Unit, quiet: bool) -> tuple[list[str], dict[str, Any]]:
    """Runs the compiler on one unit and gives its errors and its output as `{warnings, contracts}`."""
    if not quiet:
        pipeline = "via-IR" if unit.via_ir else "legacy pipeline"
        print(f"compiling {unit.label} ({len(unit.sources)} files, {pipeline})", file=sys.stderr, flush=True)
    command = [str(root / SHIM), "--standard-json", "--base-path", str(root)]
    try:
        done = subprocess.run(
            command, input=json.dumps(unit.request()), capture_output=True, text=True, cwd=root, check=False
        )
    except OSError as error:
        raise CompileError(f"cannot start the compiler {command[0]}: {error}; run `make setup`") from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        reason = done.stderr.strip() or f"exit code {done.returncode} and no JSON"
        raise CompileError(f"the compiler failed on {unit.label}: {reason}") from error
    errors: list[str] = []
    warnings: list[str] = []
    for problem in answer.get("errors", []):
        (errors if problem["severity"] == "error" else warnings).append(_readable(problem, root, unit.sources))
    contracts = [
        {"name": name, "source": path, "output": output}
        for path, by_name in sorted(answer.get("contracts", {}).items())
        if path in unit.targets
        for name, output in sorted(by_name.items())
    ]
    return errors, {"warnings": warnings, "contracts": contracts}


def _readable(problem: Mapping[str, Any], root: Path, sources: Mapping[str, str]) -> str:
    """`file:line: Type: message`; the compiler's own offset counts UTF-8 bytes."""
    location = problem.get("sourceLocation") or {}
    path = str(location.get("file", ""))
    text = f"{problem['type']}: {problem['message']}"
    if not path:
        return text
    package_file = root / "node_modules" / path
    content = sources.get(path) or (package_file.read_text(encoding="utf-8") if package_file.is_file() else "")
    start = max(int(location.get("start", 0)), 0)
    return f"{path}:{content.encode()[:start].count(10) + 1}: {text}"


def _load(path: Path) -> dict[str, Any] | None:
    """A cached output, or None if it is absent or damaged."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return loaded if isinstance(loaded, dict) and loaded.keys() >= {"warnings", "contracts"} else None


def _require(path: Path) -> dict[str, Any]:
    loaded = _load(path)
    if loaded is None:
        raise CompileError(f"{path} was removed or damaged while it was in use; run the command again")
    return loaded


def _write(path: Path, output: Mapping[str, Any]) -> None:
    """Writes a file so that a reader sees either the old or the whole new one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(output, stream)
    Path(temporary).replace(path)


def _drop_stale(cache: Path, current: set[str]) -> None:
    """Forgets the oldest outputs of sources that no longer exist; recent ones stay for switching branches."""
    stale = [path for path in cache.glob("*.json") if path.stem not in current]
    stale.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in stale[STALE_FILES_KEPT:]:
        path.unlink(missing_ok=True)


def _collect(outputs: Sequence[Mapping[str, Any]]) -> dict[str, Artifact]:
    found: dict[str, Artifact] = {}
    for output in outputs:
        for entry in output["contracts"]:
            artifact = _artifact(entry["name"], entry["source"], entry["output"])
            other = found.setdefault(artifact.name, artifact)
            if other is not artifact and (other.abi, other.bytecode) != (artifact.abi, artifact.bytecode):
                both = f"{other.source} and {artifact.source}"
                raise CompileError(f"two different contracts are called {artifact.name}: {both}; rename one")
    return dict(sorted(found.items()))


def _artifact(name: str, source: str, output: Mapping[str, Any]) -> Artifact:
    evm = output["evm"]
    links = evm["bytecode"].get("linkReferences")
    if links:
        needed = ", ".join(sorted(library for libraries in links.values() for library in libraries))
        raise CompileError(f"{source}: {name} must be linked with {needed}; make the library's functions internal")
    deployed = evm["deployedBytecode"]
    return Artifact(
        name=name,
        source=source,
        abi=tuple(output["abi"]),
        bytecode=bytes.fromhex(evm["bytecode"]["object"]),
        deployed_bytecode=bytes.fromhex(deployed["object"]),
        immutable_references=deployed.get("immutableReferences", {}),
        method_identifiers=evm.get("methodIdentifiers", {}),
        storage_layout=output.get("storageLayout") or {"storage": [], "types": None},
    )
