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

WORLD := --truth runs/sandbox-truth.npz --store runs/sandbox.db
PLAIN := --truth runs/sandbox-plain-truth.npz --store runs/sandbox-plain.db
PRIMER := --truth runs/sandbox-primer-truth.npz --store runs/sandbox-primer.db
PART := runs/sandbox-backbone-

backbone: $(VENV)/.installed  ## train the shipped sandbox backbone anew (some two hours on one core)
	mkdir -p runs
	$(BIN)/idiolect sandbox $(WORLD) --set seed=1000 --set n_users=2500 --set n_items=3000 \
	  --set user_sd=2 --set genre_sd=1.8 --set item_sd=1
	$(BIN)/idiolect pretrain $(WORLD) --out $(PART)1 --config recipes/sandbox_1_backbone.yaml
	$(BIN)/idiolect pretrain $(WORLD) --out $(PART)2 --config recipes/sandbox_2_backbone.yaml
	$(BIN)/idiolect sandbox $(PLAIN) --set seed=1001 --set n_users=2500 --set n_items=3000
	$(BIN)/idiolect pretrain $(PLAIN) --out $(PART)3 --config recipes/sandbox_3_backbone.yaml
	$(BIN)/idiolect sandbox $(PRIMER) --set seed=1002 --set n_users=12000 --set n_items=3000 --set words=20 \
	  --set user_sd=6 --set genre_sd=0 --set item_sd=0 --set noise_sd=0 --set "reviews_per_user=[2,3]" \
	  --set signature_share=0
	$(BIN)/idiolect pretrain $(PRIMER) --out $(PART)4 --config recipes/sandbox_4_backbone.yaml
	$(BIN)/idiolect pretrain $(PLAIN) --out $(PART)5 --config recipes/sandbox_5_backbone.yaml

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
