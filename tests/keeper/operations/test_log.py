"""Secrets never reach a line, and one id joins the lines of a decision."""

from __future__ import annotations

import json

import pytest

from plimsoll.keeper.operations.log import DecisionLog, LineWriter
from plimsoll.keeper.operations.ports import decision_id
from plimsoll.keeper.operations.redact import Redactor, shown_url

KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pass@a.example:8443/v2/KEY?q=1", "https://a.example:8443"),
        ("wss://a.example/ws/KEY", "wss://a.example"),
        ("http://[::1]:8545/KEY", "http://[::1]:8545"),
        ("postgresql://u:p@db.example/keeper", "postgresql://db.example/keeper"),
        ("postgresql://u:p@db.example/keeper?password=x", "postgresql://db.example/keeper"),
        ("https://a.example:port/KEY", "https://***"),
        ("run/node.ipc", "run/node.ipc"),
    ],
)
def test_an_address_is_cut_down_to_where_it_is(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_known_secrets_are_hidden_in_every_form() -> None:
    hide = Redactor()
    hide.learn(KEY)
    hide.learn("correct horse")
    text = hide.text(f"{KEY} {KEY[2:].upper()} {KEY[2:]} correct horse password=abc Bearer abcdefghijk")
    assert text == "0x*** *** *** *** password=*** Bearer ***"


def test_urls_inside_a_sentence_lose_their_secrets() -> None:
    text = Redactor().text(
        "no answer from https://u:p@a.example/KEY: reset; see (wss://b.example/KEY), or 'http://c/d'."
    )
    assert text == "no answer from https://a.example: reset; see (wss://b.example), or 'http://c'."


def test_fields_that_are_called_like_a_secret_are_hidden_and_tokens_are_not() -> None:
    found = Redactor().value({"password": "x", "api_key": "y", "token": "0xabc", "nested": {"db_password": "z"}})
    assert found == {"password": "***", "api_key": "***", "token": "0xabc", "nested": {"db_password": "***"}}


def lines_of(log_lines: list[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in log_lines]


def test_one_id_joins_the_lines_of_a_decision() -> None:
    lines: list[str] = []
    log = DecisionLog(lines.append, json_lines=True, clock=lambda: 0.0)
    mine = decision_id("liquidation", "liquidate:0xabc:7")
    log.decision(mine, "liquidation", "send", "1 of majors", value_wei=4 * 10**18, gas=500_000)
    log.about(mine, job="liquidation").info("sent", "handed over", tx="0x12", nonce=7)
    log.info("head", "another line")
    log.about(mine).info("landed", "in block 9", reward=b"\x01")
    first, second, third, fourth = lines_of(lines)
    assert list(first)[:6] == ["time", "level", "event", "id", "job", "message"]
    assert {first["id"], second["id"], fourth["id"]} == {mine}
    assert "id" not in third
    assert (first["event"], first["outcome"], first["value_wei"], first["gas"]) == (
        "decision",
        "send",
        "4000000000000000000",
        500_000,
    )
    assert fourth["reward"] == "0x01"
    assert decision_id("liquidation", "liquidate:0xabc:7") == mine != decision_id("orders", "liquidate:0xabc:7")


def test_lines_for_people_end_with_the_id_and_hold_no_secret() -> None:
    lines: list[str] = []
    log = DecisionLog(lines.append, clock=lambda: 0.0)
    log.redactor.learn(KEY)
    log.about("a1b2").warn("node", f"https://u:p@a.example/x refused {KEY}")
    assert lines == ["1970-01-01 00:00:00 WARN  node: https://a.example refused 0x*** [a1b2]"]
    assert list(log.tail) == lines


def test_the_same_is_said_once_by_all_views_of_a_log() -> None:
    lines: list[str] = []
    log = DecisionLog(lines.append, clock=lambda: 0.0)
    log.once("a", "wait", "not yet")
    log.about("1").once("a", "wait", "not yet")
    log.forget_others()
    log.forget_others()
    log.about("1").once("a", "wait", "not yet")
    assert len(lines) == 2


def test_lines_are_counted_by_level() -> None:
    levels: list[str] = []
    log = DecisionLog(lambda _: None, counted=levels.append)
    log.info("a", "b")
    log.about("x").error("a", "b")
    assert levels == ["INFO", "ERROR"]


def test_a_full_disk_loses_lines_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            return

    monkeypatch.setattr("sys.stdout", Full())
    writer = LineWriter()
    DecisionLog(writer).info("a", "b")
    assert writer.lost == 1
