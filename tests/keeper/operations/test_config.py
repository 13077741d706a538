"""The configuration: what is refused, what it says, which source wins, and that nothing secret is printed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from pydantic import BaseModel

import plimsoll.keeper
from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.operations.config import JOBS, KeeperConfig, Objective, Route
from plimsoll.keeper.operations.load import known_keys, load_config, sample
from plimsoll.keeper.operations.sections import JobConfig
from plimsoll.units import WAD


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "keeper.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(tmp_path: Path, text: str) -> list[str]:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as refused:
        load_config(path)
    assert refused.value.exit_code == 2
    return [line.removeprefix(f"{path}:") for line in str(refused.value).splitlines()]


def test_without_a_file_the_defaults_are_those_of_the_options() -> None:
    config = load_config()
    assert config == KeeperConfig()
    assert (config.options().limits.min_profit, config.options().limits.min_discount_ppm) == (WAD // 50, 10_000)
    assert config.sending_options().limits.max_reverts == 5
    assert set(config.jobs) == set(JOBS)


def test_every_setting_is_read_by_the_keeper() -> None:
    files = [path for path in Path(plimsoll.keeper.__file__).parent.rglob("*.py") if path.name != "sections.py"]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    read = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found: list[str] = []
    for name, section in KeeperConfig.model_fields.items():
        kind = JobConfig if name == "jobs" else section.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += [f"{name}.{key}" for key in kind.model_fields]
    assert len(found) > 50
    assert [one for one in found if one.split(".")[1] not in read] == []


def test_amounts_are_read_exactly_and_times_with_their_units(tmp_path: Path) -> None:
    text = """
        objective: solvency
        node: {poll: 250 ms, providers: [http://a.example:8545, node.ipc]}
        sending: {gas_budget: 0.1 ETH, max_fee: 12.345678901 gwei, routes: "private, multi"}
        decisions: {reserve: $5k, min_discount: 15 bp, min_profit: 0.1, accrue_every: 15 min}
        prices: {push_after: 1 h}
        jobs: {orders: {enabled: no}, liquidation: {gas_budget: 0.3}}
    """
    config = load_config(written(tmp_path, text.replace("node: {", "node: {private: http://p.example, ")))
    assert (config.objective, config.node.poll) == (Objective.SOLVENCY, 0.25)
    assert (config.sending.gas_budget, config.sending.max_fee) == (10**17, 12_345_678_901)
    assert config.sending.routes == (Route.PRIVATE, Route.MULTI)
    assert (config.decisions.reserve, config.decisions.min_profit) == (5_000 * WAD, WAD // 10)
    assert (config.decisions.min_discount, config.decisions.accrue_every) == (1_500, 900)
    assert (config.job("orders").enabled, config.job("pools").enabled, config.options().push_after) == (
        False,
        True,
        3_600,
    )
    assert config.sending_options().limits.job_budgets == {"liquidation": 3 * 10**17}


def test_an_unknown_key_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    text = "network: local\nnode:\n  pol: 3\nsendng:\n  tip: 1\njobs:\n  liquidations: {}\n  orders: {failure: 1}\n"
    assert problems(tmp_path, text) == [
        "3: node.pol is no key of the configuration; did you mean node.poll?",
        "4: sendng is no key of the configuration; did you mean sending?",
        "7: liquidations is no job; did you mean jobs.liquidation?",
        "8: jobs.orders.failure is no key of the configuration; did you mean jobs.orders.failures?",
    ]


def test_a_key_that_resembles_nothing_lists_what_there_is(tmp_path: Path) -> None:
    assert problems(tmp_path, "log:\n  zzz: 1\n") == ["2: log.zzz is no key of the configuration; known are format"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("objective: greed", "1: objective: 'greed' is not possible: input should be 'profit' or 'solvency'"),
        ("node: {poll: soon}", "1: node.poll: 'soon' is not a time; write one such as 250 ms, 12 s or 1 h"),
        ("node: {providers: [ws://a.example]}", "1: node: providers are read over http(s) or a unix socket; put"),
        ("sending: {gas_budget: lots}", "1: sending.gas_budget: 'lots' is not a number; give one such as 12.5"),
        ("sending: {gas_budget: -1}", "1: sending.gas_budget: '-1' is negative"),
        ("sending: {routes: private}", "sending.routes names the private route, but node.private has no address"),
        ("decisions: {min_discount: 120 %}", "1: decisions.min_discount: '120 %' is too much; give 0 to 99 %"),
        ("key: {unlocked: 0x12}", "1: key.unlocked: '0x12' is not an address; write 0x and 40 hex digits"),
        ("key: {keystore: a, key_env: B}", "1: key: keystore, key_env and unlocked exclude each other; give one"),
        ("ha: {enabled: perhaps}", "1: ha.enabled: 'perhaps' is neither true nor false"),
        ("server: 9464", "1: server: this is a section; write its keys below it, indented"),
        ("node: {poll: 1, poll: 2}", "1: poll is there twice; remove one"),
    ],
)
def test_a_wrong_value_is_one_line_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    found = problems(tmp_path, text + "\n")
    assert len(found) == 1
    assert said in found[0]


def test_variables_win_over_the_file_and_options_over_both(tmp_path: Path) -> None:
    path = written(tmp_path, "node: {poll: 2, timeout: 3}\nkey: {keystore: a.json}\n")
    environment = {
        "PLIMSOLL_KEEPER__NODE__POLL": "4",
        "PLIMSOLL_RPC": "http://a.example,http://b.example",
        "PLIMSOLL_OTHER": "x",
    }
    config = load_config(path, environment=environment, overrides={"node.timeout": "5", "key.keystore": ""})
    assert (config.node.poll, config.node.timeout) == (4.0, 5.0)
    assert config.node.providers == ("http://a.example", "http://b.example")
    assert config.key.keystore is None


def test_an_unknown_variable_is_refused_by_its_name() -> None:
    with pytest.raises(ConfigurationError, match=r"PLIMSOLL_KEEPER__NODE__POL: node.pol is no key .* node.poll\?"):
        load_config(environment={"PLIMSOLL_KEEPER__NODE__POL": "4"})


def test_what_is_printed_can_be_read_again(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "sending: {gas_budget: 0.123456789012345678}\nnode: {poll: 250 ms}\n"))
    assert load_config(written(tmp_path, sample(config))) == config
    assert load_config(written(tmp_path, sample())) == KeeperConfig()


def test_addresses_are_printed_without_their_secrets() -> None:
    overrides = {
        "node.providers": ["https://user:hunter2@a.example/v2/KEY?k=KEY"],
        "database.url": "postgresql://keeper:hunter2@db.example:5432/keeper",
    }
    text = sample(load_config(overrides=overrides))
    assert "https://a.example" in text
    assert "postgresql://db.example:5432/keeper" in text
    assert "hunter2" not in text
    assert "KEY" not in text


def test_a_wrong_address_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_config(overrides={"node.providers": ["ftp://user:hunter2@a.example/KEY"]})
    assert "hunter2" not in str(refused.value)


def test_every_key_can_be_set_by_a_variable() -> None:
    assert len(known_keys()) == len(set(known_keys()))
    for key in known_keys():
        name = "PLIMSOLL_KEEPER__" + key.upper().replace(".", "__")
        with pytest.raises(ConfigurationError) as refused:
            load_config(environment={name: "?", "PLIMSOLL_KEEPER__NODE__POLL": "?"})
        assert "is no key" not in str(refused.value)
