# A newcomer needs two commands: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Tests start hundreds of processes, and each would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: coverage fault-table fuzz soak demo test slow test-hpc lint schema clean bench bench-quick bench-full-tile bench-reference bench-scale bench-retrieval bench-adaptation adaptation-report accuracy-report rehearsal

demo: $(VENV)/.installed  ## install, simulate a small world and map it
	$(BIN)/oso demo demo

# Test files go to two processes in the order of collection, so that no long one comes last.
SIDE_BY_SIDE := --numprocesses 2 --dist loadfile --no-loadscope-reorder

COVER ?=
test: $(VENV)/.installed-test  ## run the tests (the slow ones: make slow)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(COVER)

coverage: $(VENV)/.installed-test  ## the same, and which lines of the package no test reaches
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --cov --cov-report=term-missing:skip-covered

slow: $(VENV)/.installed-test  ## run the tests that take minutes
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m slow --timeout 1800

test-hpc: $(VENV)/.installed-hpc  ## run the tests that need a real Slurm; as root, starts its daemons on loopback
	$(BIN)/python -m pytest -m hpc tests/hpc

lint: $(VENV)/.installed-lint  ## format, style, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

schema: $(VENV)/.installed  ## write configs/schema.json and docs/config.md from the models
	$(BIN)/python -m oso_pipeline.config.schema

bench: $(VENV)/.installed  ## measure against other programs; writes bench/results/comparisons.json and docs/performance.md (35 min)
	$(BIN)/python -m bench --publish

bench-quick: $(VENV)/.installed  ## a small bench: do results agree? (under 5 min, no programs from apt)
	$(BIN)/python -m bench --quick

bench-full-tile: $(VENV)/.installed  ## write a tile of 10980 x 10980 pixels, 40 dates, map it, delete it
	$(BIN)/python -m bench.full_tile --rows 10980

bench-adaptation: $(VENV)/.installed  ## adapt a forest of 200,000 past samples to 20,000 new ones; prints time and memory
	$(BIN)/python -m bench.adaptation_scale

bench-reference: $(VENV)/.installed  ## prepare 100k, 500k and 1.5 million parcels; writes the table in the docs
	$(BIN)/python -m bench.reference_scale

bench-scale: $(VENV)/.installed  ## a national run whose tasks sleep, on 200 workers; writes the table in the docs (12 min)
	$(BIN)/python -m bench.national

bench-retrieval: $(VENV)/.installed-test  ## fetch 10,000 products from a portal that lies, with kills; writes the table in the docs (45 min, 4 GB)
	PYTHONPATH=tests $(BIN)/python -m bench.retrieval --publish

TILES ?=
KEEP ?=
rehearsal: $(VENV)/.installed-test  ## France from plan to map on sparse inputs; continues after an interruption (12 + 15 GB; TILES=9 takes nine tiles; KEEP=1 keeps the map)
	$(BIN)/python -m bench.rehearsal $(if $(TILES),--tiles $(TILES)) $(if $(KEEP),--keep)

fault-table: $(VENV)/.installed-test  ## write the tables of injected faults and of faults found in use from the tests
	$(BIN)/python tests/faults/fault_table.py
	$(BIN)/python tests/faults/field_faults_table.py

MINUTES ?= 20
soak: $(VENV)/.installed-test  ## run the demo in a loop under random faults; writes the figures into the docs
	$(BIN)/python tests/faults/run_soak.py --minutes $(MINUTES) --write

SEED ?= 0
fuzz: $(VENV)/.installed-test  ## damage inputs, configurations and runs for MINUTES; writes the figures into the docs
	$(BIN)/python tests/faults/run_fuzz.py --minutes $(MINUTES) --seed $(SEED) --write

adaptation-report: $(VENV)/.installed  ## measure adaptation on real pairs of years; writes the tables of docs/adaptation.md
	$(BIN)/python -m bench.adaptation

SEEDS ?= 3
accuracy-report: $(VENV)/.installed  ## compare learners and peers on real data; writes the tables of docs/accuracy.md (installs torch and LightGBM)
	$(INSTALL) -e '.[deep]'
	$(BIN)/python -m bench.accuracy --seeds $(SEEDS)

clean:  ## remove the environment and the demo
	rm -rf $(VENV) demo soak bench/work

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; say which: make PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing into $(VENV) (one or two minutes)"
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(INSTALL) -e '.[test]'
	@touch $@

$(VENV)/.installed-hpc: $(VENV)/.installed-test
	$(INSTALL) -e '.[hpc]'
	@touch $@

$(VENV)/.installed-lint: $(VENV)/.installed
	$(INSTALL) -e '.[lint]'
	@touch $@

# All at once, for continuous integration.
$(VENV)/.installed-all: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) -e '.[test,hpc,lint]'
	@touch $(VENV)/.installed $(VENV)/.installed-test $(VENV)/.installed-hpc $(VENV)/.installed-lint $@
