# Everything is set up by these targets; nothing but Python 3.11+ and make is needed beforehand.
PYTHON ?= python3
VENV := .venv
SAM_VENV := .venv-sam
BIN := $(VENV)/bin
SAM := $(SAM_VENV)/bin/sam
SAM_ENV := SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-west-1 PYTHON=$(abspath $(SAM_VENV))/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint build bench deploy lock clean

help: ## What can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.ready ## The virtual environment with everything in it, from the lock file

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; this is " + sys.version.split()[0] + \
	  ". Give another by: make PYTHON=python3.13 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(SAM_VENV)/.ready: requirements-sam.lock
	$(PYTHON) -m venv $(SAM_VENV)
	$(SAM_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-sam.lock
	@touch $@

demo: setup ## The whole system at work on the local cloud
	@$(BIN)/taskmedic demo

test: setup ## Every test
	$(BIN)/pytest -n auto --dist worksteal tests/unit
	$(BIN)/pytest -n auto --dist loadfile tests/local

lint: setup ## ruff, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

build: $(SAM_VENV)/.ready ## sam validate --lint and sam build
	$(SAM_ENV) $(SAM) validate --lint
	$(SAM_ENV) $(SAM) build

bench: setup ## Every figure, printed
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

deploy: setup build ## Into your AWS account, guided
	$(BIN)/taskmedic runbook validate
	$(SAM) deploy --guided

lock: setup ## The lock files again, from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --upgrade --extra cli --extra local --extra dev pyproject.toml -o requirements.lock
	uv pip compile --quiet --python-version 3.13 --python-platform aarch64-manylinux_2_28 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --constraint requirements.lock pyproject.toml \
	  -o layers/core/requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --upgrade requirements-sam.in -o requirements-sam.lock

clean: ## Remove what these targets made
	rm -rf $(VENV) $(SAM_VENV) .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
