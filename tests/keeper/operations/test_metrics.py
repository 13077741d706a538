"""Dashboard, alerts and run book against a live `/metrics`; health and status over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.keeper.operations.examples import busy_status, counted, fetch
from tests.keeper.operations.promql import Expression, PromqlError, parse

from plimsoll.keeper.operations.config import ReadinessConfig, ServerConfig
from plimsoll.keeper.operations.health import judged
from plimsoll.keeper.operations.server import OperatorServer
from plimsoll.keeper.operations.status import KeeperStatus, Phase, status_from_json, status_to_json
from plimsoll.keeper.operations.telemetry import PREFIX, Telemetry

ROOT = Path(__file__).resolve().parents[3]
ALERTS = ROOT / "ops" / "prometheus" / "keeper-alerts.yaml"
DASHBOARD = ROOT / "ops" / "grafana" / "keeper.json"
RUN_BOOK = ROOT / "docs" / "keeper.md"
SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds, and so must not be ours."""
OF_PROMETHEUS = {"up": SCRAPED}

Answer = tuple[int, str]


def served(telemetry: Telemetry, status: Callable[[], KeeperStatus], paths: list[str]) -> list[Answer]:
    """What a live server answers."""

    async def work() -> list[Answer]:
        server = OperatorServer(ServerConfig(enabled=True, port=0), telemetry, status)
        await server.start()
        try:
            return [await asyncio.to_thread(fetch, server.url + path) for path in paths]
        finally:
            await server.stop()

    return asyncio.run(work())


@pytest.fixture(scope="module")
def exposed() -> dict[str, set[str]]:
    """Label names of every sample of a live `/metrics`, by its name."""
    telemetry = counted()
    telemetry.watch(busy_status)
    ((code, text),) = served(telemetry, busy_status, ["/metrics"])
    assert code == 200
    found: dict[str, set[str]] = {name: set(labels) for name, labels in OF_PROMETHEUS.items()}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set(SCRAPED)).update(sample.labels)
            assert not SCRAPED & sample.labels.keys(), f"{sample.name} has a label that Prometheus would rename"
    return found


def rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]:
        yield from group["rules"]


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target


def problems(expression: Expression, exposed: dict[str, set[str]]) -> list[str]:
    """Metrics and labels that no keeper has."""
    found = []
    labels: set[str] = set()
    for one in expression.selectors:
        if one.metric not in exposed:
            found.append(f"no metric {one.metric}")
            continue
        labels |= exposed[one.metric]
        found += [f"{one.metric} has no label {name}" for name, _, _ in one.matchers if name not in exposed[one.metric]]
        if one.ranged and not one.metric.endswith(("_total", "_bucket", "_sum", "_count")):
            found.append(f"{one.metric} is no counter: its rate means nothing")
    return found + [f"nothing to group by {name}" for name in expression.groups if name not in labels]


def test_every_alert_asks_for_what_a_keeper_tells(exposed: dict[str, set[str]]) -> None:
    assert {rule["alert"]: problems(parse(rule["expr"]), exposed) for rule in rules()} == {
        rule["alert"]: [] for rule in rules()
    }


def test_every_panel_asks_for_what_a_keeper_tells(exposed: dict[str, set[str]]) -> None:
    wrong = []
    for title, target in panels():
        expression = parse(target["expr"].replace("$__rate_interval", "5m"))
        wrong += [f"{title}: {problem}" for problem in problems(expression, exposed)]
        metrics = [one.metric for one in expression.selectors]
        labels = set().union(*(exposed.get(metric, set()) for metric in metrics))
        for name in re.findall(r"{{(\w+)}}", target["legendFormat"]):
            if name not in labels:
                wrong.append(f"{title}: the legend names {name}")
    assert wrong == []


def test_every_metric_is_on_the_dashboard(exposed: dict[str, set[str]]) -> None:
    shown = {one.metric for _, t in panels() for one in parse(t["expr"].replace("$__rate_interval", "5m")).selectors}
    shown |= {one.metric for rule in rules() for one in parse(rule["expr"]).selectors}
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exposed}
    assert bases - {re.sub(r"_bucket$", "", name) for name in shown} == {f"{PREFIX}{name}" for name in UNSEEN}


UNSEEN = (
    "build_info",
    "uptime_seconds",
    "passes_total",
    "candidates_total",
    "head_time_seconds",
    "lease_epoch",
    "audit_block",
    "reorg_depth_blocks",
    "last_pass_age_seconds",
    "breaker_trips_total",
)
"""Told, but on no panel and in no alert: for questions that somebody asks by hand."""


def test_panels_and_alerts_are_complete_and_unique() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(places) == len(set(places))
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["runbook"] == f"docs/keeper.md#{rule['alert'].lower()}"


def test_the_run_book_has_a_section_for_each_alert_and_no_other() -> None:
    text = RUN_BOOK.read_text(encoding="utf-8")
    assert re.findall(r"^### (Keeper\w+)$", text, re.M) == [rule["alert"] for rule in rules()]


def test_the_run_book_names_metrics_that_exist(exposed: dict[str, set[str]]) -> None:
    named = set(re.findall(r"plimsoll_keeper_\w+", RUN_BOOK.read_text(encoding="utf-8")))
    known = exposed.keys() | {re.sub(r"_(bucket|sum|count)$", "", name) for name in exposed}
    assert {name for name in named if name not in known} <= {PREFIX}


@pytest.mark.parametrize(
    "text",
    [
        "rate(a)",
        "sum(a[5m])",
        "a{b}",
        "a + ",
        "nothing(a)",
        "a{b=~c}",
        "histogram_quantile(a)",
        "a[5]",
        "sum by (a b) (c)",
    ],
)
def test_the_reader_of_expressions_refuses(text: str) -> None:
    with pytest.raises(PromqlError):
        parse(text)


def test_the_check_finds_what_does_not_exist(exposed: dict[str, set[str]]) -> None:
    text = f'sum by (job, task) (rate({PREFIX}nothing_total[5m])) > {PREFIX}ready{{color="red"}}'
    assert problems(parse(text), exposed) == [
        f"no metric {PREFIX}nothing_total",
        f"{PREFIX}ready has no label color",
        "nothing to group by task",
    ]


def test_what_alerts_look_at_is_there_from_the_start() -> None:
    text = Telemetry().exposition().decode()
    for sample in ('log_lines_total{level="ERROR"}', 'job_failures_total{task="orders"}', "audit_mismatches_total"):
        assert f"{PREFIX}{sample} 0.0" in text


# ── health and status ──────────────────────────────────────────────────────


def judged_with(**changes: Any) -> KeeperStatus:
    base = status_to_json(busy_status())
    return judged(status_from_json(base | {key: status_to_json_value(value) for key, value in changes.items()}), LIMITS)


def status_to_json_value(value: Any) -> Any:
    return value.value if isinstance(value, Phase) else value


LIMITS = ReadinessConfig()


@pytest.mark.parametrize(
    ("changes", "live", "ready", "reason"),
    [
        ({}, True, True, ""),
        ({"phase": Phase.STANDBY}, True, True, ""),
        ({"phase": Phase.CATCHING_UP}, True, False, "it is catching up"),
        ({"halts": ["audit: 3 accounts differ"]}, True, False, "halted: audit: 3 accounts differ"),
        ({"pass_age_seconds": 121.0}, False, False, "no progress for 121 s, at most 120 s are usual"),
        ({"pass_age_seconds": None, "uptime_seconds": 5.0}, True, True, ""),
        ({"head": {"lag_blocks": 6}}, True, False, "6 blocks behind the best provider, at most 5 are allowed"),
        ({"head": {"age_seconds": 61.0}}, True, False, "no new block for 61 s, at most 60 s are allowed"),
        ({"providers": []}, True, False, "0 usable providers, at least 1 are wanted (none is known)"),
        ({"lease": {"mode": "lost"}}, True, False, "the lease is lost"),
    ],
)
def test_health_tells_the_truth_and_why(changes: dict[str, Any], live: bool, ready: bool, reason: str) -> None:
    found = judged_with(**changes).readiness
    assert (found.live, found.ready) == (live, ready)
    assert found.reasons == ((reason,) if reason else ())


def test_probes_answer_503_with_their_reasons() -> None:
    sick = judged_with(pass_age_seconds=500.0, halts=["balance"])
    telemetry = Telemetry()
    telemetry.watch(lambda: sick)
    live, ready, nothing = served(telemetry, lambda: sick, ["/livez", "/readyz", "/nothing"])
    assert (live[0], json.loads(live[1])["live"]) == (503, False)
    assert (ready[0], json.loads(ready[1])["reasons"][1]) == (503, "halted: balance")
    assert nothing[0] == 404
    healthy = judged_with()
    assert [code for code, _ in served(Telemetry(), lambda: healthy, ["/livez", "/readyz", "/"])] == [200, 200, 200]


def test_the_status_survives_its_way_over_http() -> None:
    status = judged_with()
    ((code, text),) = served(Telemetry(), lambda: status, ["/status"])
    assert (code, status_from_json(json.loads(text))) == (200, status)
    assert json.loads(text)["balance_wei"] == "1234567890123456789"
