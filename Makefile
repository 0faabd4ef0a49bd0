# Three commands: `make demo`, `make live` and `make test`. Each does all set-up; the second time it starts at once.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := libegl1 libgl1-mesa-dri espeak-ng flite festival festvox-us-slt-hts festvox-kdlpc16k chromium

.PHONY: demo live test setup lint types unit cards clean

demo: setup
	$(BIN)/stretto demo

live: setup
	$(BIN)/stretto serve

test: setup lint types unit

setup: $(VENV)/.system $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	@PYTHON="$(PYTHON)" sh tools/make_venv.sh $(VENV)
	@touch $@

$(VENV)/.system: tools/install_system.sh $(VENV)/.installed
	@sh tools/install_system.sh $(PACKAGES)
	@touch $@

lint: setup
	$(BIN)/ruff check src tests tools
	$(BIN)/ruff format --check src tests tools

types: setup
	$(BIN)/mypy

unit: setup
	$(BIN)/python -m pytest -n 2

cards: setup
	$(BIN)/python -m stretto.bench.readme

clean:
	rm -rf $(VENV) out .mypy_cache .ruff_cache
