# Needs Python >= 3.11 with pip, and make. Nothing has to be activated: everything is
# installed into .venv and run from there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Two processes of one thread each: faster on two cores than one process of two threads.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile
ARGS ?=

SPELLED := $(wildcard *.md .ci/run Makefile benchmarks cli data/*.md docs examples pyg_advinfonce tests)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help install dev demo test docs lint clean

help:  ## list these targets
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/make \1\t\2/p' Makefile

install: $(VENV)/.test  ## make .venv and install the library and its test tools there
	@echo "installed: $(BIN)/advnce"

dev: $(VENV)/.dev  ## the same, with linters and type checker
	@echo "installed, with linters: $(BIN)"

demo: $(VENV)/.test  ## train LightGCN with AdvInfoNCE on simulated data (half a minute)
	$(BIN)/advnce train lightgcn --loss adv --data simulated --epochs 300 --out runs/demo --overwrite

test: $(VENV)/.test  ## run the tests; ARGS="-k hardness" passes options to pytest
	$(PYTEST) $(ARGS)

docs: $(VENV)/.test  ## build the documentation into docs/_build; a warning is an error
	$(BIN)/python -m sphinx -q -W --keep-going docs docs/_build
	@echo "built: docs/_build/index.html"

lint: $(VENV)/.dev  ## ruff, mypy and codespell
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/codespell $(SPELLED)

clean:  ## remove .venv, caches and build folders, never runs/ or data/
	rm -rf $(VENV) build dist docs/_build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name .git -prune -o -name __pycache__ -prune -exec rm -rf {} +

# Stamps are written last, so an install that was interrupted starts over in a new .venv.
$(VENV)/.test: EXTRAS := test,docs
$(VENV)/.dev: EXTRAS := test,docs,dev
$(VENV)/.test $(VENV)/.dev: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: '$(PYTHON)' is not Python >= 3.11; name one: make PYTHON=python3.12 ..." >&2; \
	  exit 1; }
	@if test -e $(VENV)/.unfinished || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  rm -rf $(VENV) && mkdir $(VENV) && touch $(VENV)/.unfinished && { $(CREATE_VENV); }; \
	fi
	@touch $(VENV)/.unfinished
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[$(EXTRAS)]'
	@$(INSTALL_SPARSE) 2>/dev/null || echo "tests of neighbour sampling are skipped:" \
	  "no wheels of torch-sparse and torch-scatter fit (PIP_FIND_LINKS names their folder)"
	@rm $(VENV)/.unfinished
	@touch $(VENV)/.test $@

# As wheels or not at all: to compile them takes 20 minutes.
INSTALL_SPARSE := $(BIN)/python -m pip install -q -c constraints.txt \
  --only-binary torch-sparse,torch-scatter -e '.[sparse]'

# Debian's Python has no ensurepip unless python3-venv is installed: then borrow its pip.
define CREATE_VENV
$(PYTHON) -m venv $(VENV) \
|| { $(PYTHON) -m venv --clear --without-pip $(VENV) \
     && $(PYTHON) -m pip --python $(BIN)/python install pip; } \
|| { rm -rf $(VENV); \
     echo "error: '$(PYTHON) -m venv' failed; on Debian or Ubuntu install python3-venv," \
          "or name another Python: make PYTHON=python3.12 ..." >&2; \
     exit 1; }
endef
