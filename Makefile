# Two commands do it all: `make run` and `make test`. Everything is installed into .venv.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint clients crash bench clean

run: $(VENV)/.installed
	@$(BIN)/engine run pipelines/quickstart.yaml --sandbox --fresh

test: $(VENV)/.dev
	$(BIN)/pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Vendors' own public clients, each in an environment of its own: tests/clients/NAME.txt says what goes into it.
clients: $(patsubst tests/clients/%.txt,.clients/%/.installed,$(wildcard tests/clients/*.txt))

.clients/%/.installed: tests/clients/%.txt
	$(PYTHON) -m venv .clients/$*
	.clients/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

clean:
	rm -rf $(VENV) .clients .bench .engine build dist *.egg-info
