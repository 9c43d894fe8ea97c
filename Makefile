# What developers and CI run; `make help` lists the targets. Only Python and a network connection are needed.

PYTHON ?= python3
BIN := .venv/bin
DEMO := train digits --network lenet5_keras --size 32 --epochs 40 --out runs/demo

.DEFAULT_GOAL := help
.PHONY: help demo test check docs format bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: .venv/installed ## train on handwritten digits, about a minute after the first set-up (CPU=1 sets up without CUDA)
	rm -rf runs/demo
	$(BIN)/convolve $(DEMO)

test: check docs ## everything that CI runs: check, docs and their commands, the tests
	$(BIN)/python tools/run_docs_commands.py
	$(BIN)/pytest -n auto --maxprocesses 4

check: .venv/installed ## the quick part of test: style, types, imports, limits, words
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/limits.py
	$(BIN)/python tools/words.py

docs: .venv/installed ## build the documentation into docs/_build/index.html
	$(BIN)/sphinx-build --quiet --fresh-env --write-all --nitpicky --fail-on-warning --keep-going docs docs/_build

format: .venv/installed ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/installed ## compare the speed with the alternatives
	set -e; for name in train_step networks_step layers memory small_network scratch explain segmentation_predict; do $(BIN)/python -m bench.$$name; done

clean: ## remove .venv, caches, the built book and the demo's run
	rm -rf .venv .*_cache .hypothesis dist build docs/_build docs/book/images runs/demo

.venv/installed: .venv/locked pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null || { \
	  echo "convolve needs Python 3.11 to 3.14, but $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing);" \
	    "choose another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing the dependencies into .venv$(if $(CPU),, (up to 6 GB on Linux, where PyTorch comes with its GPU libraries))."
	$(PYTHON) -m venv .venv
	$(BIN)/python $(if $(CPU),tools/install_cpu.py,-m pip install --disable-pip-version-check --no-deps --require-hashes -r requirements.lock)
	@touch $@
