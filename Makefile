# Every target makes what it needs in .venv; PYTHON chooses the interpreter (3.11 or later).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: demo test lint types imports check slow bench backbone clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/.installed  ## the main job, live, on a small made-up world; ARGS="--set settings.backbone.model=NAME" for another model
	$(BIN)/idiolect demo $(ARGS)

test: $(VENV)/.installed  ## the whole suite, no network
	$(BIN)/python -m pytest

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(VENV)/.installed
	$(BIN)/lint-imports

check: lint types imports test  ## what CI runs

slow: $(VENV)/.installed  ## tests that take minutes
	$(BIN)/python -m pytest -m slow

bench: $(VENV)/.installed  ## every benchmark, as ratios against a plain baseline
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

backbone: $(VENV)/.installed  ## train the shipped sandbox backbone anew (about 70 minutes on one core)
	mkdir -p runs
	$(BIN)/idiolect sandbox --store runs/sandbox.db --truth runs/sandbox-truth.npz --set seed=1000 --set n_users=2500 --set n_items=3000
	$(BIN)/idiolect pretrain --store runs/sandbox.db --truth runs/sandbox-truth.npz --out runs/sandbox-backbone --config recipes/sandbox_backbone.yaml

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
