# Two commands do it all: `make run` and `make test`. Everything is installed into .venv; nothing else is touched.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := -m pip install --quiet --disable-pip-version-check

.PHONY: run test lint crash crash-long reliability fuzz bench bench-all bench-setup bench-flagship bench-lumidatum clients clients-long clean

# The quickstart's file holds rows that the vendor must refuse, so the run ends with 1: finished, some were refused.
# Anything else but 0 and 1 is a failure.
run: $(VENV)/.installed
	@$(BIN)/python -m engine run pipelines/quickstart.yaml --sandbox --fresh || { code=$$?; [ $$code -eq 1 ] || exit $$code; \
	echo "The engine ended with exit code 1: finished, and the rows above were refused, which the file holds on purpose."; }

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -rs

lint: $(VENV)/.dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

# Kills real runs with SIGKILL at random moments and starts them again until they are done.
crash: $(VENV)/.dev
	$(BIN)/python -m tests.crash --kills 30

# A thousand kills, then death at every single durable call: about half an hour.
crash-long: $(VENV)/.dev
	$(BIN)/python -m tests.crash --kills 1000
	$(BIN)/python -m tests.crash.durable

# Every fault of the list, measured into docs/reliability.md; a campaign that was cut off goes on.
reliability: $(VENV)/.dev
	$(BIN)/python -m tests.reliability --write docs/reliability.md --keep .reliability.json
	rm -f .reliability.json

# Whole runs in a world of memory: 100,000 schedules of rows, faults and deaths, drawn from a seed.
simulate: $(VENV)/.dev
	$(BIN)/python -m tests.simulation --schedules 100000 --table
	SIMULATION_EXAMPLES=500 $(BIN)/python -m pytest tests/simulation

# Beside peers, as far as they are there (make bench-setup): minutes. All sizes, and the page that shows them: an hour.
bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

bench-all: $(VENV)/.dev
	$(BIN)/python -m benchmarks --all --write docs/performance.md

# Bytes against every reader: the pipeline file, expressions, data files, bucketing files, vendors' answers.
fuzz: .fuzz/.installed
	.fuzz/env/bin/python -m tests.fuzz $(FUZZ)

.fuzz/.installed: tests/fuzz/requirements.txt requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv .fuzz/env
	.fuzz/env/bin/python $(PIP) --editable . -r requirements-dev.txt -r $<
	@touch $@

# Stamps, made last, say what is complete: a step that was cut off is done again.
$(VENV)/.made:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, not " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	@echo "Installing the engine into $(VENV) ..."
	@$(BIN)/python $(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed requirements-dev.txt
	@$(BIN)/python $(PIP) -r requirements-dev.txt
	@touch $@

# Vendors' own public clients, each in an environment of its own: tests/clients/NAME.txt says what goes into it.
clients: $(patsubst tests/clients/%.txt,.clients/%/.installed,$(filter-out %/editors.txt,$(wildcard tests/clients/*.txt)))

.clients/%/.installed: tests/clients/%.txt
	$(PYTHON) -m venv .clients/$*
	.clients/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# The real Flagship SDK beside ours on 100,000 visitors; its hash and its targeting a million times.
clients-long: $(VENV)/.dev clients
	CLIENTS_LONG=1 $(BIN)/python -m pytest tests/clients/test_flagship.py

# Decisions a second beside the real SDK's in the same run, hits a second to a collector on loopback.
bench-lumidatum: $(VENV)/.dev clients
	$(BIN)/python -m benchmarks.lumidatum

bench-flagship: $(VENV)/.dev clients
	$(BIN)/python -m benchmarks.flagship_buckets

# The language server that editors use for YAML, for the tests that drive it; npm must be there.
editors: .clients/editors/.installed

.clients/editors/.installed: tests/clients/editors.txt
	npm install --prefix .clients/editors --no-fund --no-audit --silent $$(cat $<)
	@touch $@

# Peers that benchmarks compare us with, each in an environment of its own: benchmarks/peers/NAME.txt says what goes into it.
bench-setup: $(patsubst benchmarks/peers/%.txt,.bench/%/.installed,$(wildcard benchmarks/peers/*.txt)) .clients/iterable/.installed

# What cannot be installed here is left out, and the tables say so.
.bench/%/.installed: benchmarks/peers/%.txt
	@$(PYTHON) -m venv .bench/$*
	@.bench/$*/bin/python $(PIP) -r $< && touch $@ || echo "benchmarks: $* cannot be installed and is left out"

clean:
	rm -rf $(VENV) .clients .bench .fuzz .engine pipelines/.engine build dist *.egg-info
