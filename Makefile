# Watershed needs Python 3.11 or newer and make; everything else is installed into .venv.
PYTHON ?= python3
# The installer itself is pinned; the rest is pinned by uv.lock.
UV_VERSION := 0.13.9
VENV := .venv
TOOLS := .tools
UV := $(TOOLS)/bin/uv
RUN := $(VENV)/bin
HOME_DIR := $(abspath $(or $(WATERSHED_HOME),data))

# Of the tests at work: two more than there are processors, because some always wait for a disk, a kill or a browser.
WORKERS = $(shell $(PYTHON) -c 'import os; print(2 + len(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count()))(0)))')

export DAGSTER_HOME := $(HOME_DIR)/dagster
export DO_NOT_TRACK := 1
# Some images set it, and each of a run's four processes would then compile Dagster or dbt anew: ten CPU seconds.
unexport PYTHONDONTWRITEBYTECODE

# A process of sqlfluff parses the whole dbt project, and looking for garbage in what stays takes a third of its time.
export define LINT_SQL
import gc; gc.disable()
from sqlfluff.cli.commands import cli
cli()
endef

.DEFAULT_GOAL := help
.PHONY: help setup demo run dev serve test test-bi test-long lint format contracts benchmark screenshot benchmark-daily benchmark-gate benchmark-publication benchmark-value benchmark-holdout clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.installed ## install the platform and its tools into .venv

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Watershed needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": set PYTHON=python3.x")'
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.installed: pyproject.toml uv.lock | $(UV)
	UV_PROJECT_ENVIRONMENT=$(VENV) $(UV) sync --quiet --frozen --python $$($(TOOLS)/bin/python -c 'import sys; print(sys._base_executable)')
	@touch $@

demo: setup ## write the sample company, run everything, publish, and print what was built
	$(RUN)/watershed demo

run: setup ## run everything once on the contracts in data_contracts/sources
	$(RUN)/watershed run

dev: setup ## start Dagster's pages and daemon on http://localhost:3000
	@mkdir -p $(DAGSTER_HOME) && cp orchestration/dagster.yaml $(DAGSTER_HOME)/
	$(RUN)/dagster dev -m orchestration.definitions

serve: setup ## run Dagster's pages and daemon as a service does, on http://localhost:3000
	$(RUN)/watershed serve

test: setup ## run all tests but the benchmarks, those of BI clients and the long ones
	$(RUN)/pytest -n $(WORKERS) --dist loadgroup -m "not benchmark and not bi and not long"

test-bi: setup ## run the tests of BI clients, each in an environment of its own under .bi (1.5 GB, about 10 minutes)
	$(RUN)/pytest -n 0 -m bi tests/bi

test-long: setup ## compare backfills with daily runs, one clicked in Dagster's pages (Chromium), kill loads at every step, run all public data (half an hour)
	$(RUN)/pytest -n 0 -m long tests/orchestration tests/browser tests/transforms/lake tests/real_data

lint: setup ## run the linters, the type checker and the contracts' lint
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	NODE_OPTIONS=--max-semi-space-size=128 $(RUN)/pyright
	$(RUN)/python -c "$$LINT_SQL" lint dbt_project/models dbt_project/tests
	$(RUN)/watershed contracts lint

format: setup ## bring the code into shape
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

contracts: setup ## check every contract, say what changed since the last commit, write their pages
	$(RUN)/watershed contracts check

screenshot: setup ## take the pictures of the documentation (needs Chromium)
	docs/take_pictures.sh

benchmark: setup ## measure the whole path at 1, 4 and 16 times the default size, beside a hand-written script (about an hour)
	$(RUN)/python -m tests.benchmarks.full_path

benchmark-daily: setup ## measure what a day costs beside a full run, at 1, 4 and 16 times the default size (hours)
	$(RUN)/python -m tests.benchmarks.daily

benchmark-gate: setup ## measure the contract gate at 1, 10 and 50 million rows (about half an hour)
	$(RUN)/python -m tests.benchmarks.gate

benchmark-publication: setup ## measure a publication of 0.1 and 1 GB, and readers during fifty (about ten minutes)
	$(RUN)/python -m tests.benchmarks.publication

benchmark-value: setup ## measure purchase models at 1 and 10 million customers beside lifetimes (about half an hour)
	$(RUN)/python -m tests.benchmarks.value

benchmark-holdout: setup ## compare the forecasts taken for three public shops with those of lifetimes and pymc-marketing (ten minutes)
	$(RUN)/python -m tests.benchmarks.holdout

# What cannot be built again stays: incoming and landed files, and the memory of customer ids and of linkage.
DERIVED := dagster dbt exports published reports tmp truth warehouse.duckdb warehouse.duckdb.wal

clean: ## remove what runs can build again; incoming and landed files, customer ids, the model of linkage and the environment stay
	@home="$${WATERSHED_HOME:-data}"; for name in $(DERIVED); do rm -rf -- "$$home/$$name"; done; \
	if [ -d "$$home/lake" ]; then find "$$home/lake" -mindepth 1 -maxdepth 1 ! -name identity ! -name linkage -exec rm -rf -- {} +; fi
	rm -rf dbt_project/target dbt_project/logs .pytest_cache .ruff_cache
