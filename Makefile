# Every command of the repository. `make` or `make help` lists them.
# Set-up runs before whatever needs it and is instant when nothing has changed.

SHELL := bash
PY := .venv/bin/python
# ape's pytest plugin starts a node of its own; the tests start theirs.
PYTEST := $(PY) -m pytest -p no:ape_test
ARGS :=
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup compile test test-fast lint fmt gas gas-check demo replay-all deploy fuzz fuzz-machines bench-fuzz mutants mutate-maths prove slither keeper-bench keeper-verdicts keeper-flood keeper-side-by-side keeper-soak coverage lock clean

help: ## List the commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "make %-19s %s\n", $$1, $$2 }' Makefile

setup: ## Build .venv and node_modules (only what has changed)
	@MAKE="$(MAKE)" bash tools/setup.sh

compile: setup ## Compile the contracts into build/artifacts
	@$(PY) tools/compile.py

test: lint compile ## Everything CI checks: linters, types, all tests, gas
	@echo "── tests ──"
	@$(PYTEST) tests -n 2 --dist loadfile $(ARGS)
	@if [ -f scripts/gas.py ]; then echo "── gas against snapshots/gas.json ──"; $(PY) scripts/gas.py --check; fi

test-fast: setup ## Unit and convention tests only
	@$(PYTEST) tests/unit tests/conventions $(ARGS)

lint: setup ## Formatting, style and types of Python and Solidity
	@bash tools/lint.sh

fmt: setup ## Format Python and Solidity sources
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format --quiet .
	@.venv/bin/forge fmt contracts tests/symbolic

gas: setup ## Measure the gas of every action and write snapshots/gas.json
	@$(PY) scripts/gas.py $(ARGS)

gas-check: setup ## Compare the gas of every action with snapshots/gas.json
	@$(PY) scripts/gas.py --check $(ARGS)

demo: setup ## Live through a crash on a local chain; the report goes to build/demo
	@.venv/bin/plimsoll replay --report build/demo $(ARGS)

replay-all: setup ## Replay every price file in the folder DATA=…
	@bash tools/replay_all.sh "$(DATA)" $(ARGS)

deploy: setup ## Deploy to a throw-away local chain through ape
	@.venv/bin/ape run deploy --network ethereum:local:foundry $(ARGS)

fuzz: compile ## Random actions on contracts and specification, compared; WORKERS=2, ARGS="--actions 1000000 --seed 2"
	@$(PY) -m plimsoll fuzz --workers $(or $(WORKERS),1) $(ARGS)

fuzz-machines: compile ## The stateful tests of `make test` with many more and new examples
	@bash tools/fuzz.sh $(ARGS)

mutants: setup ## Put seeded bugs into the contracts, one at a time; the fuzzer must find each
	@$(PY) scripts/mutants.py $(ARGS)

mutate-maths: setup ## Change the maths libraries in every small way; comparisons with the specification must notice
	@$(PY) scripts/mutate_maths.py $(ARGS)

bench-fuzz: compile ## Calls a second that the fuzz driver makes, by backend and route
	@$(PY) -m tests.bench.fuzz_driver
	@$(PY) -m tests.bench.fuzz_campaign $(ARGS)

keeper-bench: setup ## Speed of the keeper's mirror, databases and ingestion at a million accounts
	@$(PY) -m plimsoll keeper bench $(ARGS)

keeper-verdicts: compile ## A million verdicts of the keeper's mirror against the contracts' own view
	@$(PY) -m tests.bench.keeper_verdicts $(ARGS)

keeper-flood: compile ## 20,000 accounts below the line after one price, against what blocks can hold
	@$(PY) -m tests.bench.keeper_flood $(ARGS)

keeper-side-by-side: compile ## This keeper and the usual ways of writing one, in the same crash; table and picture
	@$(PY) -m tests.bench.keeper_side_by_side $(ARGS)

keeper-soak: compile ## The keeper for an hour of one-second blocks under all faults at random; ARGS="--minutes 10"
	@$(PY) -m tests.bench.keeper_soak $(ARGS)

coverage: compile ## What the tests reach of src/plimsoll and contracts, as tables and in build/coverage
	@$(PY) scripts/coverage.py $(ARGS)

prove: setup ## Prove the symbolic properties (ARGS=--quick for those that take seconds), then test the prover
	@bash tools/prove/setup.sh
	@.venv-prove/bin/python tools/prove/run.py $(ARGS)
	@PYTHONPATH=. .venv-prove/bin/python -m pytest -q -c /dev/null --noconftest -p no:cacheprovider tests/symbolic/prover

slither: setup ## Compare slither's findings with the answers in docs/slither.md
	@bash tools/prove/setup.sh
	@.venv-prove/bin/python tools/slither.py

lock: setup ## Resolve the dependencies again (needs uv) and write both lock files
	@bash tools/lock.sh

clean: ## Remove .venv, node_modules and everything that was built
	rm -rf .venv .venv-prove node_modules build .ape .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* src/*.egg-info
	find src tests scripts tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
