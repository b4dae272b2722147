# Every target makes what it needs in .venv; PYTHON chooses the interpreter (3.11 or later).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: demo test lint types imports docs check slow bench backbone dist sbom test-wheel test-oldest clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/.installed  ## the main job, live, on a small made-up world; ARGS="--set settings.backbone.model=NAME" for another model
	$(BIN)/idiolect demo $(ARGS)

test: $(VENV)/.installed  ## the whole suite, no network; one thread a process, a process a core
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(VENV)/.installed
	$(BIN)/lint-imports

docs: $(VENV)/.installed  ## the documentation site, in build/docs; a warning is an error
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs

check: lint types imports docs test  ## what CI runs

slow: $(VENV)/.installed  ## tests that take minutes, those on a Ray cluster too
	$(PIP) install -c constraints.txt -e '.[dev,ray]'
	$(BIN)/python -m pytest -m slow

# Not those that need a finished demo (muting, studio), a Ray cluster or hours (large, scale): see their first lines.
BENCHMARKS := $(filter-out %_muting.py %_studio.py %_ray.py %_large.py %_scale.py, $(wildcard benchmarks/bench_*.py))

bench: $(VENV)/.installed  ## the benchmarks that need nothing but the package, as ratios against a plain baseline
	for script in $(BENCHMARKS); do $(BIN)/python $$script || exit 1; done

# Releases: CONTRIBUTING.md. The tests run in a folder of their own, so that nothing but the wheel can be imported.
TESTS := OMP_NUM_THREADS=1 python -m pytest -n auto --maxprocesses 4 --dist loadfile
TEST_TOOLS := hypothesis playwright psutil pytest pytest-timeout pytest-xdist scikit-learn

dist:  ## wheel and sdist, in dist; the wheel is built from the sdist
	$(PYTHON) -m venv build/tools
	build/tools/bin/python -m pip install --quiet build twine
	rm -rf dist && build/tools/bin/python -m build
	build/tools/bin/python -m twine check --strict dist/*

sbom:  ## what 'idiolect[all]' brings, as CycloneDX, in build/sbom
	$(PYTHON) -m venv --clear build/sbom-env && mkdir -p build/sbom
	build/sbom-env/bin/python -m pip install --quiet -c constraints.txt "$$(ls dist/*.whl)[all]"
	build/tools/bin/python -m pip install --quiet cyclonedx-bom
	build/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-format JSON --output-file build/sbom/idiolect.cdx.json build/sbom-env

test-wheel:  ## what the wheel in dist holds, and the tests against it, without the repository
	$(PYTHON) tools/check_release.py --wheel "$$(ls dist/*.whl)"
	$(PYTHON) -m venv --clear build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet -c constraints.txt "$$(ls dist/*.whl)[all]" $(TEST_TOOLS)
	rm -rf build/wheel/tests && cp -r tests pyproject.toml build/wheel/
	cd build/wheel && PATH=$$PWD/venv/bin:$$PATH && $(TESTS)

test-oldest:  ## the tests with the oldest dependencies that pyproject.toml allows
	$(PYTHON) -m venv --clear build/oldest
	build/oldest/bin/python -m pip install --quiet -c constraints-min.txt '.[all]' $(TEST_TOOLS)
	PATH=$$PWD/build/oldest/bin:$$PATH && $(TESTS) -W default

# Worlds the backbone is pretrained on: name, then settings. In the primer worlds the user alone decides.
PRIMER := --set user_sd=6 --set genre_sd=0 --set item_sd=0 --set noise_sd=0 --set signature_share=0 \
  --set "reviews_per_user=[2,3]" --set n_items=3000
WORLD = --store runs/sandbox-$(1).db --truth runs/sandbox-$(1).npz
PART = $(BIN)/idiolect pretrain $(call WORLD,$(2)) --out runs/sandbox-backbone-$(1) \
  --config recipes/sandbox_$(1)_backbone.yaml

backbone: $(VENV)/.installed  ## train the shipped sandbox backbone anew (some four hours on one core)
	mkdir -p runs
	$(BIN)/idiolect sandbox $(call WORLD,first) --set seed=1000 --set n_users=2500 --set n_items=3000 \
	  --set user_sd=2 --set genre_sd=1.8 --set item_sd=1
	$(BIN)/idiolect sandbox $(call WORLD,full) --set seed=1001 --set n_users=2500 --set n_items=3000
	$(BIN)/idiolect sandbox $(call WORLD,short) --set seed=1002 --set n_users=12000 --set words=20 $(PRIMER)
	$(BIN)/idiolect sandbox $(call WORLD,long) --set seed=1003 --set n_users=8000 --set words=55 $(PRIMER)
	$(call PART,1,first)
	$(call PART,2,first)
	$(call PART,3,full)
	$(call PART,4,short)
	$(call PART,5,full)
	$(call PART,6,long)
	$(call PART,7,full)
	$(call PART,8,full)

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
