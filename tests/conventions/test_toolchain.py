"""The lock files, the commands and the places that name the compiler agree with each other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib

import pytest
import yaml
from hypothesis import settings

from plimsoll.chain import artifacts
from tests.conftest import PROFILES
from tests.conventions.repository import ROOT


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def requirements(lock: str = "requirements.lock") -> dict[str, list[str]]:
    """Lines of a Python lock by package: the requirement first, then its hashes."""
    found: dict[str, list[str]] = {}
    for entry in re.split(r"\n(?=\S)", read(lock).strip()):
        lines = [line.rstrip(" \\") for line in entry.splitlines()]
        found[re.split(r"[=\[ ;]", lines[0])[0].lower()] = lines
    return found


def npm_packages() -> dict[str, dict[str, object]]:
    packages: dict[str, dict[str, object]] = json.loads(read("package-lock.json"))["packages"]
    return {path: entry for path, entry in packages.items() if path}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-prove.lock"])
def test_python_lock_pins_versions_and_hashes(lock: str) -> None:
    locked = requirements(lock)
    assert len(locked) > 50
    for name, lines in locked.items():
        assert re.match(r"[\w.-]+==[\w.]+( ;.*)?$", lines[0]), lines[0]
        assert len(lines) > 1, f"{name} has no hash"
        assert all(re.fullmatch(r"\s+--hash=sha256:[0-9a-f]{64}", line) for line in lines[1:]), name


def test_python_lock_holds_every_dependency() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[<>=!~\[ ]", item)[0].lower() for item in wanted}
    assert names - requirements().keys() == set()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-prove.lock", "package-lock.json"])
def test_lock_holds_no_address(lock: str) -> None:
    assert "://" not in read(lock)
    assert not re.search(r"^\s*(-i|-f|--(index|extra|find|trusted))", read(lock), re.MULTILINE)
    assert '"resolved"' not in read(lock)


def test_npm_dependencies_are_exact_and_locked() -> None:
    manifest = json.loads(read("package.json"))
    locked = npm_packages()
    for name, version in {**manifest["dependencies"], **manifest["devDependencies"]}.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), f"{name} {version}"
        assert locked[f"node_modules/{name}"]["version"] == version


def test_npm_lock_has_a_hash_for_everything_but_platform_packages() -> None:
    platform = re.compile(r"node_modules/@foundry-rs/(anvil|forge)-(darwin|linux|win32)-(amd64|arm64)")
    without = {path for path, entry in npm_packages().items() if "integrity" not in entry}
    assert {path for path in without if not platform.fullmatch(path)} == set()
    assert "node_modules/@foundry-rs/anvil-linux-amd64" not in without


@pytest.mark.parametrize("tool", ["anvil", "forge"])
def test_npm_lock_serves_every_platform(tool: str) -> None:
    locked = npm_packages()
    for platform in ("darwin-amd64", "darwin-arm64", "linux-amd64", "linux-arm64"):
        entry = locked[f"node_modules/@foundry-rs/{tool}-{platform}"]
        assert entry["version"] == locked[f"node_modules/@foundry-rs/{tool}"]["version"]
        assert entry["os"] == [platform.split("-")[0]]
        assert entry["optional"] is True


def test_every_make_target_is_in_the_help() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):(?!=)", read("Makefile"), re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (.*)$", read("Makefile"), re.MULTILINE)[0].split())
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^make ([a-z-]+) +(\S.*)$", shown, re.MULTILINE)
    assert {"setup", "test", "demo", "help"} <= targets
    assert targets == phony == {name for name, _ in listed}


def test_ci_runs_the_readers_own_command() -> None:
    assert re.search(r"^\s*(exec )?make test\b", read(".ci/run"), re.MULTILINE)
    assert re.search(r"run: make test$", read(".github/workflows/ci.yml"), re.MULTILINE)


def test_one_compiler_with_one_configuration() -> None:
    ape = yaml.safe_load(read("ape-config.yaml"))["solidity"]
    forge = tomllib.loads(read("foundry.toml"))["profile"]["default"]
    solhint = json.loads(read(".solhint.json"))["rules"]
    version = artifacts.SOLC_VERSION
    assert [ape["version"], solhint["compiler-version"][1]] == [version, version]
    assert json.loads(read("package.json"))["devDependencies"]["solc"] == version
    assert forge["solc"] == artifacts.SHIM.as_posix()
    assert ape["evm_version"] == forge["evm_version"] == artifacts.EVM_VERSION
    assert ape["optimization_runs"] == forge["optimizer_runs"] == artifacts.OPTIMIZER_RUNS
    assert ape["via_ir"] is forge["via_ir"] is True


def test_the_chosen_hypothesis_profile_is_active() -> None:
    chosen = os.environ.get("HYPOTHESIS_PROFILE", "ci")
    assert settings.get_current_profile_name() == chosen
    assert settings().max_examples == PROFILES[chosen].max_examples
    assert settings().derandomize is PROFILES[chosen].derandomize
