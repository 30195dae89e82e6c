# Two commands are all a newcomer needs: `make demo` and `make test`.
# Each sets up a virtual environment first; nothing is installed outside this folder.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
DEMO ?= demo
SEED ?= 1
JOBS ?= 2
PYTEST_ARGS ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Parallel work is done by processes here; threads inside each would only fight for the cores.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test lint types pytest format bench-speed wheel clean

help:
	@echo "make demo    install, make a small hospital of digital people, de-identify and audit it"
	@echo "make test    install, check style and types, run the tests"
	@echo "make lint | types | pytest | format | bench-speed | wheel | clean"

$(STAMP): pyproject.toml
	@python=""; \
	for candidate in $${PYTHON:-} python3.11 python3.12 python3.13 python3.14 python3 python; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    python="$$candidate"; break; fi; done; \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.11 or newer was found; install one, on Debian or Ubuntu with:" >&2; \
	  echo "    sudo apt-get install python3 python3-venv" >&2; exit 4; fi; \
	if ! "$$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then \
	  echo "$$python cannot make virtual environments; on Debian or Ubuntu install:" >&2; \
	  echo "    sudo apt-get install python3-venv" >&2; exit 4; fi; \
	echo "Setting up $(VENV) with $$("$$python" --version) (once, some minutes) ..."; \
	"$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

# The demo study is made once; the run itself picks up where it stopped.
$(DEMO)/.study-made: $(STAMP)
	@rm -rf $(DEMO)/dicom
	@mkdir -p $(DEMO)
	$(BIN)/anonymi-bids-phantoms $(DEMO)/dicom --n 6 --visits 2,2,1,1,1,1 --contrasts T1w \
	  --once T2w --thick T2w --as dicom --seed $(SEED) --nprocs $(JOBS)
	@touch $@

demo: $(DEMO)/.study-made
	@status=0; \
	$(BIN)/anonymi-bids $(DEMO)/dicom $(DEMO)/out participant group --seed $(SEED) \
	  --nprocs $(JOBS) || status=$$?; \
	if [ $$status -eq 3 ]; then \
	  echo; echo "Exit code 3: finished, and some images were withheld. That is the tool at work:"; \
	  echo "each of them stands with its reason in $(DEMO)/out/private/withheld.tsv."; \
	elif [ $$status -ne 0 ]; then exit $$status; fi; \
	echo; \
	echo "May be handed out:  $(DEMO)/out/release/"; \
	echo "For the board:      $(DEMO)/out/report/audit.html"; \
	echo "Stays with you:     $(DEMO)/out/private/"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy -p anonymi_bids

pytest: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

# One after the other, so that the last line is pytest's summary.
test: $(STAMP)
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory pytest

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-speed: $(STAMP)
	$(BIN)/python benchmarks/speed.py

wheel: $(STAMP)
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) $(DEMO) build dist .mypy_cache .ruff_cache .hypothesis
