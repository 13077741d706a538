"""Compiling and loading contracts, in a small repository of its own that borrows the compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plimsoll.chain.artifacts import CACHE, SHIM, ArtifactNotFound, CompileError, compile_contracts, repository_root

HEADER = "// SPDX-License-Identifier: MIT\npragma solidity 0.8.37;\n"
MATH = "library Math { function twice(uint256 x) internal pure returns (uint256) { return 2 * x; } }\n"
VAULT = """
import {Math} from "./libraries/Math.sol";
contract Vault {
    error TooSmall(uint256 amount, uint256 least);
    uint256 public immutable least;
    uint256 transient lock;
    uint256 public total;
    constructor(uint256 least_) { least = least_; }
    function deposit(uint256 amount) external {
        require(amount >= least, TooSmall(amount, least));
        total += Math.twice(amount);
    }
}
"""
FEED = "contract Feed { int256 public answer; function set(int256 value) external { answer = value; } }\n"
MOCK = 'import {Feed} from "../Feed.sol";\ncontract MockFeed is Feed { bool public broken; }\n'


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with its cache filled, which the tests copy."""
    real = repository_root()
    tmp_path = tmp_path_factory.mktemp("compiled")
    (tmp_path / "ape-config.yaml").write_text("name: small\n", encoding="utf-8")
    (tmp_path / "package.json").write_text('{"dependencies": {"@openzeppelin/contracts": "x"}}', encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(real / "node_modules")
    (tmp_path / SHIM).parent.mkdir(parents=True)
    (tmp_path / SHIM).symlink_to(real / SHIM)
    for name, text in {"libraries/Math": MATH, "Vault": VAULT, "Feed": FEED, "mocks/MockFeed": MOCK}.items():
        put(tmp_path, name, text)
    compile_contracts(tmp_path, quiet=True)
    return tmp_path


@pytest.fixture
def repository(compiled_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(compiled_once, tmp_path / "repository", symlinks=True))


def put(root: Path, name: str, text: str) -> None:
    path = root / "contracts" / f"{name}.sol"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + text, encoding="utf-8")


def compiled(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Labels of the units that were compiled since the last look."""
    lines = capsys.readouterr().err.splitlines()
    return {line.split()[1] for line in lines if line.startswith("compiling ")}


def test_an_artifact_holds_what_deployment_and_tests_need(repository: Path) -> None:
    vault = compile_contracts(repository, quiet=True).artifact("Vault")
    assert vault.source == "contracts/Vault.sol"
    assert {entry["name"] for entry in vault.abi if entry["type"] == "error"} >= {"TooSmall"}
    assert vault.method_identifiers["deposit(uint256)"] == "b6b55f25"
    assert vault.code_bytes == len(vault.deployed_bytecode) > 200
    assert len(vault.bytecode) > vault.code_bytes
    assert b"solc" not in vault.bytecode, "metadata would make the code depend on comments and file names"
    spans = [span for spans in vault.immutable_references.values() for span in spans]
    assert spans
    for span in spans:
        assert vault.deployed_bytecode[span["start"] : span["start"] + span["length"]] == bytes(32)
    assert [slot["label"] for slot in vault.storage_layout["storage"]][-1] == "total"


def test_only_what_changed_is_compiled_again(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = compile_contracts(repository)
    assert compiled(capsys) == set(), "the cache does not depend on where the repository lies"

    put(repository, "libraries/Math", MATH.replace("2 * x", "3 * x"))
    second = compile_contracts(repository)
    assert compiled(capsys) == {"Vault", "shared"}
    assert second.artifact("Vault").bytecode != first.artifact("Vault").bytecode

    put(repository, "mocks/MockFeed", MOCK.replace("broken", "stopped"))
    compile_contracts(repository)
    assert compiled(capsys) == {"mocks"}

    put(repository, "Feed", FEED.replace("answer = value", "answer = value + 1"))
    compile_contracts(repository)
    assert compiled(capsys) == {"Feed", "mocks"}

    put(repository, "libraries/Math", MATH)
    compile_contracts(repository)
    assert compiled(capsys) == set(), "earlier sources are still known"


def test_force_compiles_again(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = compile_contracts(repository, only=["contracts/Feed.sol"])
    assert compiled(capsys) == set()
    assert compile_contracts(repository, only=["contracts/Feed.sol"], force=True).contracts == first.contracts
    assert compiled(capsys) == {"Feed"}


def test_a_damaged_cache_file_is_made_again(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = compile_contracts(repository, quiet=True)
    (damaged,) = (repository / CACHE).glob("Vault-*.json")
    damaged.write_text(damaged.read_text(encoding="utf-8")[:1000], encoding="utf-8")
    assert compile_contracts(repository).contracts == first.contracts
    assert compiled(capsys) == {"Vault"}


def test_only_restricts_to_named_files(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(repository, "Broken", "contract Broken { oops }\n")
    artifacts = compile_contracts(repository, only=["contracts/Feed.sol", "contracts/mocks/"], force=True)
    assert compiled(capsys) == {"Feed", "mocks"}
    assert [artifact.name for artifact in artifacts] == ["Feed", "MockFeed"]
    with pytest.raises(CompileError, match="no Solidity file below contracts/ begins with contracts/Fed"):
        compile_contracts(repository, only=["contracts/Fed"])


def test_mocks_use_the_fast_pipeline_and_harnesses_the_real_one(repository: Path) -> None:
    body = "contract Same { function f(uint256 a) external pure returns (uint256) { return a * 7 + a / 3; } }\n"
    put(repository, "Same", body)
    put(repository, "mocks/harness/SameHarness", body.replace("Same", "SameHarness"))
    put(repository, "mocks/SameMock", body.replace("Same", "SameMock"))
    artifacts = compile_contracts(repository, quiet=True)
    same, harness, mock = (artifacts.artifact(name) for name in ("Same", "SameHarness", "SameMock"))
    assert same.deployed_bytecode == harness.deployed_bytecode != mock.deployed_bytecode


def test_errors_name_file_line_and_message(repository: Path) -> None:
    put(repository, "Feed", "// ünïcödé\ncontract Feed {\n    function f() external { uint256 a = missing; }\n}\n")
    put(repository, "Vault", VAULT.replace("2 *", "").replace("Math.twice(amount)", '"text"'))
    with pytest.raises(CompileError) as caught:
        compile_contracts(repository, quiet=True)
    lines = str(caught.value).splitlines()
    assert lines[0] == "the contracts do not compile:"
    assert "contracts/Feed.sol:5: DeclarationError: Undeclared identifier." in lines
    assert any(line.startswith("contracts/Vault.sol:13: TypeError: ") for line in lines)
    assert len(lines) == len(set(lines))


def test_packages_are_imported_from_node_modules(repository: Path) -> None:
    text = 'import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";\n'
    put(repository, "Feed", text + "contract Feed { IERC20 public token; }\n")
    assert "token()" in compile_contracts(repository, only=["contracts/Feed.sol"]).artifact("Feed").method_identifiers


def test_a_missing_import_is_an_error(repository: Path) -> None:
    put(repository, "Feed", 'import {No} from "@openzeppelin/contracts/No.sol";\ncontract Feed {}\n')
    with pytest.raises(CompileError, match=r"contracts/Feed\.sol:3: ParserError: .*@openzeppelin/contracts/No\.sol"):
        compile_contracts(repository, only=["contracts/Feed.sol"], quiet=True)


def test_two_different_contracts_of_one_name_are_refused(repository: Path) -> None:
    put(repository, "oracles/Feed", FEED.replace("int256", "uint256"))
    with pytest.raises(CompileError, match=r"called Feed: contracts/\S+ and contracts/\S+; rename one"):
        compile_contracts(repository, quiet=True)


def test_an_unknown_name_suggests_near_ones(repository: Path) -> None:
    artifacts = compile_contracts(repository, quiet=True)
    assert "Vault" in artifacts
    assert "Vualt" not in artifacts
    with pytest.raises(ArtifactNotFound, match="'Vualt'.*did you mean Vault"):
        artifacts.artifact("Vualt")


def test_a_missing_package_or_compiler_says_what_to_do(repository: Path) -> None:
    (repository / "node_modules").unlink()
    with pytest.raises(CompileError, match="npm package solc is not installed .* run `make setup`"):
        compile_contracts(repository)
    (repository / SHIM).unlink()
    with pytest.raises(CompileError, match="compiler command .* is missing"):
        compile_contracts(repository)


def test_the_root_is_found_from_below_and_from_the_package(repository: Path) -> None:
    assert repository_root(repository / "contracts" / "mocks") == repository
    elsewhere = Path(os.sep)
    assert repository_root(elsewhere) == repository_root(Path(__file__))


def test_several_processes_compile_once(repository: Path) -> None:
    shutil.rmtree(repository / CACHE)
    program = (
        "import sys, pathlib; from plimsoll.chain.artifacts import compile_contracts;"
        'compile_contracts(pathlib.Path(sys.argv[1]), only=["contracts/Vault.sol"])'
    )
    jobs = [
        subprocess.Popen([sys.executable, "-c", program, str(repository)], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [job.communicate()[1] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0, 0]
    assert sum(text.count("compiling Vault") for text in outputs) == 1


def test_the_compiler_command_takes_large_inputs(repository: Path) -> None:
    filler = "\n".join(f"// {number:080d}" for number in range(40_000))
    put(repository, "Feed", FEED + filler + "\n")
    assert compile_contracts(repository, only=["contracts/Feed.sol"], quiet=True).artifact("Feed").code_bytes > 0
