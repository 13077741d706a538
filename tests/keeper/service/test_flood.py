"""Many accounts below the line after one price, on a chain whose blocks hold few of them."""

from __future__ import annotations

import pytest
from tests.bench.keeper_flood import flood
from tests.keeper.conftest import ROOT, START
from tests.support.crowd import gather
from tests.support.protocol import Protocol

from plimsoll.chain.anvil import Anvil
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.parameters import Parameters

ACCOUNTS = 160
GAS_LIMIT = 8_000_000


def test_f13_a_flood_is_worked_off_in_as_many_blocks_as_its_gas_fills(capsys: pytest.CaptureFixture[str]) -> None:
    """A small version of `make keeper-flood`, with 160 accounts instead of 20,000."""
    with Anvil(timestamp=START, block_interval=1, keep_states=64, extra=("--order", "fifo")) as anvil:
        protocol = Protocol(anvil, deploy(anvil.sender(0), Parameters.load(ROOT / "deployments" / "local.yaml")))
        protocol.publish()
        protocol.lp_deposit(protocol.lp, "20_000_000")
        gather(protocol, ACCOUNTS, leverage=(11.0, 15.0))
        anvil.rpc.request("evm_setBlockGasLimit", [hex(GAS_LIMIT)])
        code = flood(protocol, ACCOUNTS, GAS_LIMIT)
    assert code == 0, capsys.readouterr().out
