"""The command line: what is listed, loaded lazily, and how errors are told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from plimsoll.chain.errors import SignerError
from plimsoll.chain.rpc import Rpc
from plimsoll.cli import COMMANDS, group
from plimsoll.commands.options import parameters_path, sender_for
from plimsoll.deploy.doctor import State, examine
from plimsoll.deploy.document import ParameterError

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "http://127.0.0.1:1"


def plimsoll(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "plimsoll", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, stdin=subprocess.DEVNULL)


def test_help_lists_every_command_that_is_there() -> None:
    modules = {path.stem for path in (ROOT / "src" / "plimsoll" / "commands").glob("*.py")}
    text = CliRunner().invoke(group, ["--help"]).output
    shown = {name for name in COMMANDS if f"\n  {name} " in text}
    assert shown == modules & set(COMMANDS)
    assert {"deploy", "verify", "doctor"} <= shown


def test_help_loads_no_command_and_no_ape() -> None:
    script = (
        "import sys\nfrom click.testing import CliRunner\nfrom plimsoll.cli import group\n"
        "assert CliRunner().invoke(group, ['--help']).exit_code == 0\n"
        "print([name for name in sys.modules if name.startswith(('plimsoll.commands.', 'ape', 'web3'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_an_unknown_command_is_a_usage_error() -> None:
    done = plimsoll("sail")
    assert done.returncode == 2
    assert "No such command 'sail'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("verify", "--rpc", NOWHERE), "no answer from the node"),
        (("deploy", "--network", "atlantis"), "known networks: local"),
        (("deploy", "--network", "none.yaml"), "does not exist"),
    ],
)
def test_an_error_is_one_line_with_exit_code_one(arguments: tuple[str, ...], message: str) -> None:
    done = plimsoll(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("plimsoll: ")
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_checking_a_file_needs_no_node() -> None:
    done = plimsoll("deploy", "--check-only", "--rpc", NOWHERE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "every inequality holds" in done.stdout


def test_a_network_is_a_name_or_a_file() -> None:
    local = ROOT / "deployments" / "local.yaml"
    assert parameters_path("local") == local
    assert parameters_path(str(local)) == local
    with pytest.raises(ParameterError, match="known networks"):
        parameters_path("sepolia.example.com")


def test_doctor_finds_this_machine_fit_and_the_node_missing() -> None:
    findings = {finding.what: finding for finding in examine(NOWHERE)}
    for what in ("Python", "Node.js", "compiler", "anvil", "local.yaml", "sepolia.example.yaml"):
        assert findings[what].state is State.GOOD, findings[what]
    assert findings["node"].state is State.NOTE
    assert "start one with" in findings["node"].fix


def test_doctor_gives_a_fix_for_everything_that_is_not_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "version_info", (3, 9, 0))
    bad = [finding for finding in examine(NOWHERE) if finding.state is State.BAD]
    assert {"Python", "Node.js", "compiler"} <= {finding.what for finding in bad}
    assert all(finding.fix and "\n" not in finding.found for finding in bad)


def test_senders_need_an_unlocked_account_or_a_key(tmp_path: Path) -> None:

    broken = tmp_path / "key.json"
    broken.write_text("{}")
    with pytest.raises(SignerError, match="cannot be decrypted"):
        sender_for(Rpc.connect(NOWHERE), broken, "secret")
    with pytest.raises(SignerError, match="is no keystore"):
        sender_for(Rpc.connect(NOWHERE), tmp_path / "none.json", "secret")
