# `make quickstart` and `make test` need Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt

.PHONY: quickstart test check fix docs clean
.DELETE_ON_ERROR:

# The stamps say with which extras .venv was filled, and from which version of these files.
.venv/quickstart: pyproject.toml constraints.txt
	@echo "Setting up .venv (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable '.[bench]'
	@touch $@

.venv/test: pyproject.toml constraints.txt
	@echo "Setting up .venv for the tests (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable '.[test]'
	@touch $@

quickstart: .venv/quickstart
	$(BIN)/tether compare digits --methods finetune,rdft --seeds 1

# Lint, types, tests. pytest's exit code 5 (no test ran) is a failure like any other: make stops on it.
test: .venv/test check
	$(BIN)/python -m pytest -n auto

check: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: .venv/test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs:
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable '.[docs]'
	$(BIN)/mkdocs build --strict

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache site
