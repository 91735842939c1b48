PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
BENCHPIP := $(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# a process a core, each given whole files, so that what a file trains once is trained once; one thread in each
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

.PHONY: demo test quick soak check bench docs clean

demo: $(VENV)/.demo  ## set up, then train on handwritten digits
	$(BIN)/satsuma demo

test: $(VENV)/.dev   ## set up, then run every test
	$(PYTEST)

quick: $(VENV)/.dev  ## the tests without the slow ones
	$(PYTEST) -m "not slow"

soak: $(VENV)/.dev   ## sixty runs killed at random moments, each to end with the very same weights
	SATSUMA_KILLS=60 $(BIN)/python -m pytest -q tests/learner/test_killed.py

check: $(VENV)/.dev  ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)-bench/.done  ## the measurements behind benchmarks/RESULTS.md, beside other libraries
	$(VENV)-bench/bin/python benchmarks/run_all.py

docs: $(VENV)/.dev   ## the manual, as HTML in docs/_build
	$(BIN)/sphinx-build -W -q -b html docs docs/_build

clean:
	rm -rf $(VENV) $(VENV)-bench docs/_build build .mypy_cache .ruff_cache

# torch is asked for first and alone: the pinned version must be the one that every later range finds installed
$(VENV)/.torch: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	@touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml
	$(PIP) -e ".[demo]"
	@touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml
	$(PIP) -e ".[dev]"
	@touch $@ $(VENV)/.demo

# an environment of its own: the libraries compared against must not change what the tests run on
$(VENV)-bench/.done: constraints.txt pyproject.toml benchmarks/peers.txt benchmarks/peers_alone.txt
	$(PYTHON) -m venv $(VENV)-bench
	$(BENCHPIP) torch
	$(BENCHPIP) -e ".[inspect]" -r benchmarks/peers.txt
	$(BENCHPIP) --no-deps -r benchmarks/peers_alone.txt
	@touch $@
