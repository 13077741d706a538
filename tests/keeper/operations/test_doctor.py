"""`plimsoll keeper doctor` against a local chain."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.keeper.operations.conftest import Run, Site

from plimsoll.chain.anvil import Anvil
from plimsoll.deploy.book import Book, book_path


def examined(run: Callable[..., Run], *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    code, out, err = run("doctor", *arguments, "--json")
    assert err == ""
    document = json.loads(out)
    assert document["problems"] == sum(one["state"] == "bad" for one in document["findings"])
    assert all(one["fix"] for one in document["findings"] if one["state"] != "good")
    return code, {one["what"]: one for one in document["findings"]}


def test_doctor_finds_a_healthy_site_healthy(site: Site, run: Callable[..., Run]) -> None:
    code, found = examined(run, *site.options())
    assert code == 0
    node = f"node {site.anvil.url}"
    for what in (node, f"{node}: features", f"{node}: history", "contracts", "oracle ETH", "key", "balance", "nonces"):
        assert found[what]["state"] == "good", found[what]
    assert found["database"]["found"].endswith("does not exist yet: it is made at the start")
    assert found["providers"]["state"] == "note"


def test_doctor_for_people_ends_with_a_verdict(site: Site, run: Callable[..., Run]) -> None:
    code, out, _ = run("doctor", *site.options())
    assert (code, out.splitlines()[-1]) == (0, "a keeper can start")
    assert "       fix: " in out


def test_doctor_prints_a_fix_for_each_failure(site: Site, run: Callable[..., Run]) -> None:
    path = book_path(site.path)
    document = json.loads(path.read_text())
    document["contracts"]["hub"]["code_hash"] = "0x" + "00" * 32
    path.write_text(json.dumps(document))
    code, found = examined(run, *site.options("--rpc", "http://127.0.0.1:9"))
    assert code == 2
    assert found["contracts"]["state"] == "bad"
    assert "hub at 0x" in found["contracts"]["found"]
    assert found["node http://127.0.0.1:9"]["state"] == "bad"
    assert "correct node.providers" in found["node http://127.0.0.1:9"]["fix"]


def test_doctor_sees_another_chain_an_old_price_and_an_empty_sender(site: Site, run: Callable[..., Run]) -> None:
    with Anvil(chain_id=1234) as other:
        _, found = examined(run, *site.options("--rpc", other.url))
        assert "runs chain 1234" in found[f"node {other.url}: chain"]["found"]
    site.anvil.advance(2 * 86_400)
    site.anvil.set_balance(site.anvil.accounts[0], 1)
    code, found = examined(run, *site.options())
    assert code == 2
    assert found["oracle ETH"]["state"] == "bad"
    assert "invalid" in found["oracle ETH"]["found"]
    assert found["balance"]["fix"].startswith(f"send ether to {site.anvil.accounts[0]}: at least ")


def test_doctor_without_a_deployment_stops_early(site: Site, run: Callable[..., Run], tmp_path: Path) -> None:
    path = tmp_path / "local.yaml"
    shutil.copy(site.path, path)
    code, found = examined(run, "--network", str(path), "--rpc", site.anvil.url)
    assert (code, found["network"]["state"]) == (2, "bad")
    assert "plimsoll deploy" in found["network"]["fix"]


def test_doctor_hides_what_an_address_holds(site: Site, run: Callable[..., Run]) -> None:
    secret = site.anvil.url.replace("://", "://user:hunter2@") + "/KEY"
    code, out, err = run("doctor", "--network", str(site.path), "--rpc", secret, "--db", str(site.database))
    assert code in (0, 2)
    assert "hunter2" not in out + err
    assert "KEY" not in out + err


def test_the_book_is_as_it_was(site: Site) -> None:
    assert Book.read(book_path(site.path)) == site.deployment.book
