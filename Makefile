# make run   the dashboard on http://localhost:8501
# make test  everything the tests need, a browser included, then the tests
PYTHON ?= python3
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin
SET_UP := -m estimators.measuring.jobs.set_up

.PHONY: run test test-fast browser lint format bench pictures calibrate accuracy layouts profile-setup serving-setup ray-setup bench-profile lock update container bench-gpu bench-newcomer clean

run: $(VENV)/run.stamp
	$(BIN)/python -m app serve --port $(PORT)

test: $(VENV)/dev.stamp browser
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not browser"
	$(BIN)/python -m pytest -n 2 --dist worksteal -m browser

test-fast: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -m "not browser and not slow"

browser: $(VENV)/dev.stamp
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tests/browser/install.sh

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# PEOPLE="1 20" asks how those numbers of people are served, PEOPLE=0 leaves that out; else 1, 20, 50 and 100.
bench: $(VENV)/dev.stamp browser
	$(BIN)/python -m tests.bench $(PEOPLE)

pictures: $(VENV)/dev.stamp browser
	$(BIN)/python -m tests.browser.pictures

# Fits the latency constants on the published measurements and writes constants and cross-validation tables; and the
# widths of the quality evidence's intervals.
calibrate: $(VENV)/dev.stamp
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m estimators.fitting.latency_fit
	$(BIN)/python -m estimators.fitting.quality_intervals

accuracy: $(VENV)/dev.stamp
	$(BIN)/python -m estimators.fitting.memory_accuracy
	$(BIN)/python -m estimators.fitting.latency_accuracy
	$(BIN)/python -m app.measuring.accuracy

# Learns how the classes of the installed transformers lay out their tensors; run after raising transformers.
layouts: profile-setup
	.venv-profile/bin/python -m tools.layouts
	.venv-profile/bin/python -m tools.config_defaults

# Resolves requirements*.in into pinned requirements*.txt for every platform and Python from 3.11. `update` takes the
# newest versions they allow; after it: make test, and make layouts where transformers rose.
lock: UPGRADE :=
update: UPGRADE := --upgrade
lock update: $(VENV)/dev.stamp
	$(BIN)/python -m pip install -q uv
	for file in requirements requirements-dev requirements-ray; do \
		$(RESOLVE) $$file.in -o $$file.txt || exit 1; \
	done
	for file in requirements-profile requirements-serving; do \
		$(RESOLVE) --no-annotate $$file.in -o $$file.txt && sed -i -E '/$(OF_CUDA)/d' $$file.txt || exit 1; \
	done
RESOLVE = $(BIN)/uv pip compile $(UPGRADE) --universal --python-version 3.11 -q
# torch comes in the build that fits the machine, with whatever CUDA packages that build asks for: none of them is pinned.
OF_CUDA := ^(nvidia-[^m]|cuda-|triton=)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.txt | $(BIN)/python
	$(BIN)/python $(SET_UP) $(VENV) requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt requirements.txt | $(BIN)/python
	$(BIN)/python $(SET_UP) $(VENV) requirements-dev.txt
	@touch $@ $(VENV)/run.stamp

# The environment that measures on attached devices; several GB with an NVIDIA driver, 1.3 GB without. TORCH_CPU_INDEX
# names where its CPU build of torch comes from.
profile-setup: .venv-profile/setup.stamp

# Real servers to measure, and GuideLLM beside our own client: transformers serve; 1.6 GB.
serving-setup: .venv-serving/setup.stamp

# The environment that talks to a Ray cluster, when RAY_ADDRESS names one; 0.5 GB.
ray-setup: .venv-ray/setup.stamp

.venv-%/setup.stamp: requirements-%.txt | $(BIN)/python
	$(BIN)/python $(SET_UP) .venv-$* $<

# Measures how well measuring works, on a quiet machine, and keeps the figures with their date.
bench-profile: $(VENV)/run.stamp profile-setup
	$(BIN)/python -m app.measuring.bench

# Builds the container without a Docker daemon and tries it: as root, with Debian's buildah and debootstrap; minutes.
container:
	sh tests/container/try.sh

# From `make run` in a fresh clone to the first measured figure on the page.
bench-newcomer: $(VENV)/dev.stamp browser
	$(BIN)/python -m tests.bench_newcomer

# Measures eight models on the attached NVIDIA GPU beside their estimates, for MINUTES (10), and keeps them as data.
bench-gpu: $(VENV)/run.stamp profile-setup
	$(BIN)/python -m app.measuring.gpu_campaign $(MINUTES)

clean:
	rm -rf $(VENV) .venv-profile .venv-serving .venv-ray .pytest_cache .mypy_cache .ruff_cache
