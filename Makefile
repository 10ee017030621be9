# make results   set everything up and run the main job: all three comparisons into results/
# make validate  compare known values, exact and published, with computed ones (ARGS=--quick: without Fashion-MNIST)
# make test      the same set-up, then the tests (ARGS="-m ''": the slow tests too)
# make test-newest  the tests of equality with the newest Python that constraints.txt knows, in .venv313, where it is installed
# make bench     measure the speed of training, beside PyTorch where it is installed (make bench TORCH=1 installs it)
# make bench-gpu measure what only a GPU can show, in less than ten minutes, into gpu/; without network if JAX is installed
# make soak      repeat and vary runs in one process for half an hour: does memory grow?
# make torture   kill, signal, damage and crowd runs, and count what became of them; about an hour
# ARGS is passed on: make results ARGS="--exp c --seeds 10", make test ARGS="-k sweep"

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The first Python that is new enough; to choose another: make results PYTHON=/usr/bin/python3.12
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(name))))
# nvidia-smi -L names a GPU only where its driver works.
GPU := $(shell nvidia-smi -L 2>/dev/null | grep -c '^GPU')
comma := ,
EXTRAS := test$(if $(filter-out 0,$(GPU)),$(comma)cuda12)

# The newest supported Python and its JAX. pyenv's shims fail for versions that are not selected, so its folders are tried, too.
NEWEST := $(firstword $(foreach python,python3.13 $(wildcard $(HOME)/.pyenv/versions/3.13.*/bin/python3.13),$(shell $(python) -c '' >/dev/null 2>&1 && echo $(python))))
# What must be equal whichever way it is compiled: initial weights, single and many replicas, devices, segments, gradients.
EQUALITY := tests/test_initializers.py tests/test_sweep.py tests/test_models.py tests/test_precision.py tests/test_train.py \
	tests/test_places.py tests/test_program_cache.py \
	-k "initializers or float64 or loop or bit or start_equal or whichever or half_precision or rounded_once or by_hand or whatever_the_devices or all_places"

.PHONY: results data report validate bench bench-gpu soak torture test test-newest slow lint types format clean

results: data
	$(BIN)/python -m jaxcompare.run $(if $(findstring --exp,$(ARGS)),,--exp all) $(ARGS)

data: $(INSTALLED)
	$(BIN)/python -m jaxcompare.data

report: $(INSTALLED)
	$(BIN)/python -m jaxcompare.report results

validate: data
	$(BIN)/python -m jaxcompare.validate $(ARGS)

bench: $(INSTALLED) $(if $(TORCH),$(VENV)/.torch)
	$(BIN)/python -m benchmarks --seconds 0.5 $(ARGS)

soak torture: $(INSTALLED)
	$(BIN)/python -m benchmarks.$@ $(ARGS)

# Use a Python that has the packages, so that nothing is fetched: .venv's, or else the first one.
bench-gpu: $(if $(TORCH),$(VENV)/.torch)
	@python=$(BIN)/python; test -x $$python || python="$(PYTHON)"; \
	if ! $$python -c 'import flax, jax, optax, pandas, sklearn' 2>/dev/null; then \
		$(MAKE) --no-print-directory $(INSTALLED) && python=$(BIN)/python; fi && \
	$$python -m benchmarks.gpu $(ARGS)

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-newest:
	@if test -z "$(NEWEST)"; then echo "Python 3.13 is not installed: equality is not tested with it"; \
	else $(MAKE) --no-print-directory test VENV=.venv313 PYTHON=$(NEWEST) ARGS='$(EQUALITY) $(ARGS)'; fi

slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv313 build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "cannot create a virtual environment; on Debian or Ubuntu: apt install python3-venv" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$(EXTRAS)]"
	@touch $@

$(VENV)/.torch: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[bench]"
	@touch $@
