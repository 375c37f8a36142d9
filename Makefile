# Everything runs in .venv, made by the first target that needs it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq --constraint constraints.txt
DEMO ?= auralise-demo
TESTS ?=
WORKERS ?= logical

.PHONY: help demo test lint docs bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    hear three units of a network in a song (writes $(DEMO)/)"
	@echo "make test    run every test; TESTS='-m \"not slow\"' leaves the long ones out,"
	@echo "             WORKERS=0 runs them one after another in one process"
	@echo "make lint    ruff and mypy"
	@echo "make docs    build docs/_build/html/index.html; warnings are errors"
	@echo "make bench   measure on real audio in the folder AURALISE_DATA, against librosa too"
	@echo "make clean   remove what the other targets made, .venv too"

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "auralise needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo 'not there')." >&2; \
	  echo "Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version): several minutes the first time, and quiet."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "  1/2 PyTorch (the largest download) ..."
	@$(PIP) torch setuptools
	@echo "  2/2 auralise and its other dependencies ..."
	@$(PIP) --no-build-isolation --editable '.[dev]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/auralise demo --out $(DEMO) --force

test: $(STAMP)
	@$(BIN)/python -m pytest -rs -n $(WORKERS) --maxprocesses 4 --dist loadfile $(TESTS)

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: $(STAMP)
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(STAMP)
	@test -n "$$AURALISE_DATA" || { \
	  echo "The measurements need real audio: AURALISE_DATA=FOLDER make bench" >&2; \
	  echo "FOLDER holds gtzan_mini/genres and open, as described in docs/phase.md." >&2; exit 1; }
	@for name in cache filters inversion original phase real_songs scales tuning; do \
	  $(BIN)/python "benchmarks/$$name.py" || exit 1; done

clean:
	rm -rf $(VENV) $(DEMO) build dist docs/_build *.egg-info \
	  .pytest_cache .ruff_cache .mypy_cache
