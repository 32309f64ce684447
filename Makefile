# Every target sets up .venv when it is missing; nothing but Python (3.10 or newer) and make is needed.
PYTHON ?= python3
PYTHONS ?= $(PYTHON)
VENV := .venv
BIN := $(VENV)/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

.PHONY: demo test test-all check format docs notebooks release clean
demo: $(VENV)/installed  ## install, turn water into wine, say where the picture lies
	$(BIN)/viceversa demo

test: $(VENV)/developed  ## the test suite, some minutes
	$(PYTEST) -m "not slow"

test-all: $(VENV)/developed  ## the test suite with the tests that take long
	$(PYTEST)

check: $(VENV)/developed  ## style and types
	$(BIN)/ruff check src tests examples docs experiments
	$(BIN)/ruff format --check src tests examples docs experiments
	$(BIN)/mypy

format: $(VENV)/developed  ## put the code into its form
	$(BIN)/ruff check --fix src tests examples docs experiments
	$(BIN)/ruff format src tests examples docs experiments

docs: $(VENV)/developed  ## the documentation as a site, docs/_build/index.html
	$(BIN)/sphinx-build -q -W --keep-going docs docs/_build

notebooks: $(VENV)/developed  ## examples/*.ipynb, of the scripts beside them
	$(BIN)/jupytext --quiet --to ipynb --update-metadata '{"jupytext": null}' examples/quickstart.py examples/variational.py

release: $(VENV)/developed  ## dist/: checked, and the wheel tried in a fresh environment; PYTHONS="python3.10 python3.13"
	rm -rf dist && $(BIN)/python -m build --outdir dist && $(BIN)/twine check --strict dist/*
	set -e; for python in $(PYTHONS); do \
		$$python -m venv dist/fresh; dist/fresh/bin/pip install --quiet dist/*.whl; \
		(cd dist && fresh/bin/viceversa demo demo "train.length=20 steps" "train.decay=10 steps"); \
		rm -rf dist/fresh dist/demo; \
	done

clean:  ## remove the environment and what was made
	rm -rf $(VENV) demo dist docs/_build docs/reference

INSTALL = test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); \
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable

$(VENV)/installed: pyproject.toml constraints.txt  ## what users need
	$(INSTALL) .
	touch $@

$(VENV)/developed: pyproject.toml constraints.txt  ## and what tests and checks need: every extra
	$(INSTALL) ".[dev]"
	touch $@ $(VENV)/installed
