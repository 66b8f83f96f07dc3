# Everything a developer needs. `make demo` and `make test` set up what they use.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
HEAVY := .venv-heavy
HEAVY_STAMP := $(HEAVY)/.installed
MLSERVER_VENV := .venv-mlserver
MLSERVER_STAMP := $(MLSERVER_VENV)/.installed
# What a promise rests on: every line and branch of it is tested.
WHOLE := */records/*,*/calibrate/*,*/plan/*,*/route/decide.py,*/route/candidates.py
# Two at once, a file whole in one of them: some tests time one thing against another.
SIDE_BY_SIDE := --numprocesses 2 --dist loadfile
# The fast tests draw the same examples each time, so that a failure is about the change at hand;
# `make test-laws` draws others each time.
SAME := --hypothesis-profile ci
LAW_ROUNDS ?= 10
export OMP_NUM_THREADS := 1
# Hundreds of tests start a command: it is compiled once, as where it is installed.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo test test-all test-heavy test-laws lint bench lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP)
	@$(BIN)/python examples/sentiment/demo.py

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: lint
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(SAME) -m "not slow and not heavy" --cov --cov-report=term-missing:skip-covered
	$(BIN)/coverage report --include="$(WHOLE)" --fail-under=100

test-all: lint
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not heavy" --cov --cov-report=term-missing:skip-covered
	$(BIN)/coverage report --include="$(WHOLE)" --fail-under=100

test-heavy: $(HEAVY_STAMP) $(MLSERVER_STAMP)
	$(HEAVY)/bin/python -m pytest -m heavy

# Every law, with examples that were not drawn before, in as many rounds as asked for.
test-laws: $(STAMP)
	for round in $$(seq $(LAW_ROUNDS)); do \
		$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "hypothesis and not heavy" --hypothesis-seed random || exit 1; \
	done

# Torch alone, so that nothing else says which of its builds is taken; then the rest as it is listed.
$(HEAVY_STAMP): requirements-heavy.lock pyproject.toml
	$(PYTHON) -m venv $(HEAVY)
	$(HEAVY)/bin/python -m pip install --quiet --disable-pip-version-check "$$(head -n 1 requirements-heavy.lock)"
	$(HEAVY)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-heavy.lock
	$(HEAVY)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# What a gateway is tested in front of; it needs another protobuf than the rest.
$(MLSERVER_STAMP): requirements-mlserver.lock
	$(PYTHON) -m venv $(MLSERVER_VENV)
	$(MLSERVER_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-mlserver.lock
	@touch $@

bench: $(STAMP)
	$(BIN)/python -m benchmarks

# With torch and the toolkits that it is held against, in the environment of the heavy tests.
bench-optimize-peers: $(HEAVY_STAMP)
	$(HEAVY)/bin/python -m benchmarks.optimize_models

# SimPy, which the simulator is held against, is in the environment of the heavy tests.
bench-plan: $(HEAVY_STAMP)
	$(HEAVY)/bin/python -m benchmarks.plan

# The model that finds names of persons is in the environment of the heavy tests.
bench-privacy_names: $(HEAVY_STAMP)
	$(HEAVY)/bin/python -m benchmarks.privacy_names

# It trains: about 40 minutes the first time, kept in runs/compression.
bench-compression: $(HEAVY_STAMP)
	$(HEAVY)/bin/python -m benchmarks.compression

bench-%: $(STAMP)
	$(BIN)/python -m benchmarks.$*

lock: $(STAMP)
	$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --extra all --group dev \
		--generate-hashes --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --extra gateway \
		--generate-hashes --no-header -c requirements.lock pyproject.toml -o deploy/gateway.lock

clean:
	rm -rf $(VENV) $(HEAVY) $(MLSERVER_VENV) .coverage .coverage.* runs examples/*/runs
