# Two entry points for a newcomer: `make demo` and `make test`. Each sets up its own .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# PaddleOCR's OpenCV needs libGL of the system; where that is missing, the same version without windows takes its place.
OPENCV := $(BIN)/python -c 'import cv2' 2>/dev/null || \
	$(PIP) --force-reinstall --no-deps opencv-contrib-python-headless==4.10.0.84
# Documents for the demo; without it the demo writes a corpus of its own.
PDFS ?=
PYTEST_ARGS ?=

.PHONY: help demo demo-train test test-veomni lint format clean

help:
	@echo "make demo            build a dataset from PDFs, load it back, show it (PDFS=dir for your own PDFs)"
	@echo "make demo-train      train a tiny model on a tiny dataset, on the CPU; needs PyTorch (the CPU build will do)"
	@echo "make test            ruff, mypy and all tests (PYTEST_ARGS='-k words' for some)"
	@echo "make test-veomni     the exported training run in VeOmni itself, on the CPU, in an environment of its own (1.5 GB)"
	@echo "make lint | format   ruff and mypy alone | reformat"
	@echo "make clean           remove .venv, caches and the demo"

$(VENV)/.demo: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[build,demo,ocr]'
	$(OPENCV)
	touch $@

$(VENV)/.dev: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	# torch first, with an exact version: a range would pull the gigabytes of another build.
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[build,train,demo,dev,ocr]'
	$(OPENCV)
	touch $@ $(VENV)/.demo

# VeOmni pins other versions of transformers and datasets, and a CUDA build of torch that a CPU has no use for.
$(VENV)-veomni/.done: setup.cfg pyproject.toml
	test -x $(VENV)-veomni/bin/python || $(PYTHON) -m venv $(VENV)-veomni
	$(VENV)-veomni/bin/python -m pip install --quiet torch==2.13.0
	$(VENV)-veomni/bin/python -m pip install --quiet transformers==5.9.0 'datasets<=2.21' torchdata blobfile einops psutil \
		tiktoken jinja2 msgpack pillow rich simplejpeg
	$(VENV)-veomni/bin/python -m pip install --quiet --no-deps veomni==0.1.12 --editable .
	touch $@

demo: $(VENV)/.demo
	$(BIN)/python examples/demo.py demo $(if $(PDFS),--pdfs '$(PDFS)')

demo-train: $(VENV)/.dev
	$(BIN)/python examples/demo_train.py demo

test: lint
	$(BIN)/python -m pytest -n auto $(PYTEST_ARGS)

test-veomni: $(VENV)/.dev $(VENV)-veomni/.done
	VEOMNI_PYTHON=$(abspath $(VENV)-veomni/bin/python) $(BIN)/python -m pytest -n 0 tests/contract

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(VENV)-veomni demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
