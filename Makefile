# `make` alone lists the targets: the text after `##` is their help.
# Sets of packages come from hashed locks; a stamp in the environment remembers what is already there.

VENV ?= .venv
PYTHON ?=
PYTHON27 ?= python2.7
ARCH ?= x86_64
JOBS ?= $(shell nproc)
ARGS ?=
COVER ?=
# Floors of speed are measured with no other test beside them.

BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --quiet --disable-pip-version-check
INSTALL := $(PIP) install --no-deps --require-hashes --only-binary :all: --requirement

.DEFAULT_GOAL := help
.PHONY: help setup run dev test check journeys conformance load soak pyz docs clean lock
.DELETE_ON_ERROR:

help:
	@echo "make TARGET [ARGS=...]"
	@sed -nE 's/^([a-z]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 15

# --- environments: each stamp installs one lock --------------------------------------------------

$(VENV)/.made:
	@python=$$(packaging/find-python "$(PYTHON)") && echo "Making $(VENV) with $$python" && "$$python" -m venv "$(VENV)"
	@touch $@

$(VENV)/.build: packaging/lock/build.txt | $(VENV)/.made
	@$(INSTALL) $<
	@touch $@

$(VENV)/.run: packaging/lock/runtime.txt pyproject.toml $(VENV)/.build
	@echo "Installing what the appliance needs (once)"
	@$(INSTALL) $<
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: packaging/lock/dev.txt $(VENV)/.run
	@echo "Installing what its tests need (once)"
	@$(INSTALL) $<
	@touch $@

# --- daily ---------------------------------------------------------------------------------------

setup: $(VENV)/.dev  ## everything for development: .venv, and test tools through apt when root
	@packaging/test-tools

run: $(VENV)/.run  ## serve on the folder demo/, with live data from this machine
	@exec $(BIN)/appliance serve --data demo $(ARGS)

dev: $(VENV)/.run  ## serve with sample events, permissive CORS on loopback and reload on save
	@exec $(BIN)/appliance serve --dev --data demo $(ARGS)

test: setup  ## set up and pass all tests (ARGS="-k name" narrows)
ifeq ($(ARGS),)
	@$(PY) -m pytest -n $(JOBS) --dist worksteal $(COVER)
else
	@$(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)
endif

check: setup  ## the gates: format, lint, types, import contracts, docs in step
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(PY) -m pytest -p no:cacheprovider tests/contracts/test_architecture.py
	@$(PY) packaging/reference.py --check

# --- proofs --------------------------------------------------------------------------------------

journeys: setup  ## the real process, from outside, over its whole life
	@$(PY) -m pytest tests/journeys $(ARGS)

conformance: setup  ## foreign clients, architecture, packaging; the Autobahn suite (PYTHON27=...)
	@packaging/test-tools conformance
	@$(PY) -m pytest -n $(JOBS) -m "" tests/contracts $(ARGS)
	@$(PY) -m tests.contracts.autobahn $(PYTHON27)

load: setup  ## benchmarks, side by side with PostgreSQL, Valkey, Node and others
	@$(PY) -m tests.load $(ARGS)

soak: setup  ## the long proofs in full: kills, damage, simulation seeds
	@$(PY) -m tests.soak $(ARGS)

docs: $(VENV)/.run  ## the reference pages, generated from the tables of the code
	@$(PY) packaging/reference.py

# --- releases ------------------------------------------------------------------------------------

pyz: $(VENV)/.build  ## dist/appliance.pyz, the appliance in one file (ARCH=aarch64 for the other machine)
	@$(PY) packaging/pyz.py --arch $(ARCH)

lock: $(VENV)/.made  ## choose and hash newer packages (the only target that changes versions)
	@$(PY) packaging/lock.py

clean:  ## remove everything that was made here, but not demo/
	@rm -rf "$(VENV)" build dist .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
