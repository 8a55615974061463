# One place to start: `make help`. Works with Python 3.11, make and a package index; nothing else of ours is needed.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Compiled once: without it each of a night's processes compiles Great Expectations, Airflow and dbt anew (5 s and more).
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache
# A file's tests share what they set up; files come in the order of tests/conftest.py, the longest first.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

help: ## Show this help
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## Make .venv with the locked dependencies

$(VENV)/.ready: requirements.lock pyproject.toml $(VENV)/.uv
	@echo "Installing locked dependencies (about 1 GB) ..."
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock requirements-uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# The installer alone: it resolves a lock anew where the one at hand cannot be installed any more.
$(VENV)/.uv: requirements-uv.lock
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it or run make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

run: setup ## Sandbox city, its history and tonight through Airflow; ends with a table
	@$(BIN)/warehouse sandbox run

up: setup ## Serve Airflow, the sandbox agencies and the report site on localhost until Ctrl-C
	@$(BIN)/warehouse sandbox up

tomorrow: setup ## Play the sandbox's next day: something held, late and corrected, to see, decide and repair
	@$(BIN)/warehouse sandbox tomorrow

check: setup lint ## Style, import layers and unit tests: what to run before each commit
	@$(BIN)/python -m pytest $(PARALLEL) -m "not long and not benchmark and not spark" tests/unit

test: setup system-packages lint ## Run every test
	@$(BIN)/python -m pytest $(PARALLEL) -m "not long and not benchmark and not spark"

test-long: setup system-packages lint ## Run every test with its longer variants
	@HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest $(PARALLEL) -m "not benchmark and not spark"

spark: setup .venv-spark/.ready ## Build the models on Spark too (needs Java 17) and compare every mart
	@$(BIN)/python -m pytest -m spark tests/spark

.venv-spark/.ready: requirements-spark.lock $(VENV)/.ready
	@command -v java >/dev/null || { echo "Java 17 or newer is needed for Spark: install it, then run make spark again." >&2; exit 2; }
	@test -x .venv-spark/bin/python || $(PYTHON) -m venv .venv-spark
	@echo "Installing Spark (about 0.5 GB) ..."
	@$(BIN)/uv pip sync --quiet --python .venv-spark/bin/python --require-hashes requirements-spark.lock
	@touch $@

bench: setup ## Measure stages side by side
	@$(BIN)/python -m pytest -m benchmark

SQL := $(shell find warehouse dbt_project/models dbt_project/tests -name '*.sql')
# What the reading of every model depends on.
SQL_LINTING := .sqlfluff $(shell find dbt_project/macros dbt_project/linting -name '*.sql' -o -name '*.py')

# Only what changed since the last time: the whole of it takes a minute of a core.
$(VENV)/.sql-linted: $(VENV)/.ready $(SQL_LINTING) $(SQL)
	@PYTHONWARNINGS=ignore $(BIN)/sqlfluff lint --disable-progress-bar \
	  $(if $(filter $(VENV)/.ready $(SQL_LINTING),$?),warehouse dbt_project/models dbt_project/tests,$?)
	@touch $@

lint: setup $(VENV)/.sql-linted ## Style, SQL, types and import layers
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports && $(BIN)/mypy

# Without UPGRADE uv keeps every pin that still fits. UPGRADE=1 takes the newest of all, UPGRADE="certifi grpcio" of these.
UPGRADES := $(if $(filter 1,$(UPGRADE)),--upgrade,$(addprefix --upgrade-package ,$(UPGRADE)))
COMPILE := pip compile --quiet --generate-hashes --no-annotate --no-header $(UPGRADES)

lock: $(VENV)/.uv ## Resolve dependencies anew; UPGRADE=1 or UPGRADE="a b" takes newer ones (docs/guides/upgrade.md)
	@$(BIN)/uv $(COMPILE) --python $(BIN)/python --group dev -o requirements.lock pyproject.toml
	@$(BIN)/uv $(COMPILE) --python-version 3.11 --group pyproject.toml:spark -o requirements-spark.lock
	@git diff --stat -- requirements.lock requirements-spark.lock || true

sbom: ## Write what is installed, from the locks, as CycloneDX (var/sbom.json)
	@mkdir -p var && $(PYTHON) docker/bill_of_materials.py requirements.lock requirements-uv.lock > var/sbom.json
	@echo "var/sbom.json"

system-packages:
	@command -v chromium >/dev/null && command -v docker-compose >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Chromium and docker-compose ..."; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium docker-compose >/dev/null; \
	else echo "Missing system packages: install chromium and docker-compose, then run make test again." >&2; exit 2; fi

clean: ## Remove the runtime state (var/); the landed deliveries of the sandbox go with it
	@chmod -R u+w var 2>/dev/null || true; rm -rf var

.PHONY: help setup run up tomorrow check test test-long spark bench lint lock sbom system-packages clean
