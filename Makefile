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

SANDBOX := --set n_users=1500 --set n_items=1200 --set genre_sd=2.0 --set item_sd=1.2

backbone: $(VENV)/.installed  ## train the shipped sandbox backbone anew (about an hour on 2 cores)
	mkdir -p runs
	$(BIN)/idiolect sandbox --store runs/sandbox-1.db --set seed=1000 $(SANDBOX)
	$(BIN)/idiolect sandbox --store runs/sandbox-2.db --set seed=1001 $(SANDBOX)
	$(BIN)/idiolect pretrain --store runs/sandbox-1.db --out runs/sandbox-backbone-1 --config recipes/sandbox_1_backbone.yaml
	$(BIN)/idiolect pretrain --store runs/sandbox-2.db --out runs/sandbox-backbone-2 --config recipes/sandbox_2_backbone.yaml
	$(BIN)/idiolect pretrain --store runs/sandbox-2.db --out runs/sandbox-backbone --config recipes/sandbox_3_backbone.yaml

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
