# Every target sets up .venv when it is missing; nothing but Python (3.10 or newer) and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

.PHONY: demo test test-all check format clean
demo: $(VENV)/installed  ## install, turn water into wine, say where the picture lies
	$(BIN)/viceversa demo

test: $(VENV)/developed  ## the test suite, some minutes
	$(PYTEST) -m "not slow"

test-all: $(VENV)/developed  ## the test suite with the tests that take long
	$(PYTEST)

check: $(VENV)/developed  ## style and types
	$(BIN)/ruff check src tests examples
	$(BIN)/ruff format --check src tests examples
	$(BIN)/mypy

format: $(VENV)/developed  ## put the code into its form
	$(BIN)/ruff check --fix src tests examples
	$(BIN)/ruff format src tests examples

clean:  ## remove the environment and the demo
	rm -rf $(VENV) demo

INSTALL = test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); \
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable

$(VENV)/installed: pyproject.toml constraints.txt  ## what users need
	$(INSTALL) .
	touch $@

$(VENV)/developed: pyproject.toml constraints.txt  ## and what tests and checks need: every extra
	$(INSTALL) ".[dev]"
	touch $@ $(VENV)/installed
