# Everything runs from a fresh clone: `make repro` and `make test` set up their own .venv first.
.DEFAULT_GOAL := help
.PHONY: help setup repro test test-fast lint ui lock docs deps conformance agreement mutations keras-options exports results bench experiments clean-sweeps fuzz faults audit

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
READY := $(VENV)/.ready
# Scripts hold absolute paths: .ready holds the folder for which they are.
MOVED := $(shell [ -s $(READY) ] && [ "$$(cat $(READY))" != "$(CURDIR)" ] && echo moved)
export PATH := $(BIN):$(PATH)

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: $(READY) ## install the locked packages into .venv (once)

.PHONY: moved
$(READY): requirements.lock pyproject.toml $(MOVED)
	@set -e; python=; \
	for name in "$(PYTHON)" python3.11 python3.12 python3; do \
	  if [ -n "$$name" ] && "$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; \
	  then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "setup: no Python 3.11 or 3.12 found; install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; \
	fi; \
	echo "setup: installing the locked packages into $(VENV) with $$python; this takes some minutes, once"; \
	[ -x "$(BIN)/python" ] && [ -z "$(MOVED)" ] || "$$python" -m venv $(VENV); \
	if [ -n "$(MOVED)" ]; then "$(BIN)/python" -m pipeline.repro.environment "$$(cat $(READY))" "$(CURDIR)"; fi; \
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock; \
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	printf '%s\n' "$(CURDIR)" > $(READY); \
	echo "setup: done"

repro: $(READY) ## run the stages that changed, and print the results
	@python -m pipeline.repro.run_dvc repro
	@echo; cat artifacts/table.txt

# Tests of a file share fixtures, so that a file runs in one worker.
WORKERS ?= logical
TEST := python -m pytest -q -n $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder
test: $(READY) ## run all tests, on all cores (WORKERS=...)
	@$(TEST)

test-fast: $(READY) ## run the tests that need neither TensorFlow nor subprocesses
	@$(TEST) -m "not slow"

lint: $(READY) ## check style
	@ruff check .
	@ruff format --check .

PORT ?= 5000
ui: $(READY) ## show the runs in MLflow on http://127.0.0.1:5000 (PORT=..., OPEN=1)
	@crossgrade ui --port $(PORT) $(if $(OPEN),--open)

experiments: $(READY) ## compare DVC's experiments: what differs, and what came out
	@dvc exp show --only-changed --no-pager --drop '^(artifacts/|conf$$|pipeline|simulator|stages/|params\.yaml|Created|State|Executor)'

clean-sweeps: $(READY) ## remove the folders of sweeps that MLflow has recorded
	@crossgrade sweeps --remove

FILES ?= 10000
fuzz: $(READY) ## damage FILES model files, and read them; each must be read or refused
	@python -m conformance.fuzz --count $(FILES) --seed $(SEED)

faults: $(READY) ## break stores, disks, places and processes; nothing may be lost (an hour)
	@python -m benchmarks.faults
	@python -m benchmarks.sweeps kill 40
	@python -m benchmarks.serving

audit: ## look for known vulnerabilities of the locked packages (needs pip-audit)
	pip-audit --strict --requirement requirements.lock --require-hashes --disable-pip

lock: ## update requirements.lock (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra pipeline --extra dev --extra oracle --extra parallel --extra optuna --extra fast --extra onnx --no-header --quiet --generate-hashes --output-file requirements.lock

docs: $(READY) ## regenerate the pages that are generated from the code
	@python -m pipeline.chips.layers_page > docs/targets.md
	@python -m pipeline.chips.rules_page > docs/compatibility.md
	@python -m pipeline.graph.document > docs/models.md
	@python -m pipeline.transforms.transforms_page > docs/transforms.md
	@python -m pipeline.graph.operations_page > docs/operations.md
	@python -m pipeline.graph.architecture_page > docs/architecture.md
	@python -m pipeline.config.configuration_page > docs/configuration.md
	@python -m pipeline.cli.commands_page > docs/commands.md

deps: $(READY) ## update the code dependencies of each stage in dvc.yaml
	@python -m pipeline.repro.dependencies

N ?= 30
SEED ?= 0
JOBS ?= 1
conformance: $(READY) ## compare N random networks with QuantizeML, integer by integer
	@python -m conformance --count $(N) --seed $(SEED) --jobs $(JOBS)

agreement: $(READY) ## compare what check reports of N random models with what converting them reports
	@python -m conformance.agreement --models $(N) --seed $(SEED)

mutations: $(READY) ## plant faults in the compiled plans; print which test finds each (JOBS=...; minutes)
	@python -m tests.simulator.plan.mutations --jobs $(JOBS)

keras-options: $(READY) ## import models with every option of every Keras layer; compare with Keras
	@python -m conformance.keras_options --jobs $(JOBS)

FORMAT ?= quantizeml
exports: $(READY) ## export N random networks, the zoo and more; compare in other tools
	@python -m conformance.exports --format $(FORMAT) --count $(N) --seed $(SEED) --jobs $(JOBS)

results: $(READY) ## train, migrate and quantize several models; writes docs/results.md (an hour)
	@python -m benchmarks.results --processes $(JOBS)

bench: $(READY) ## compare speed with other tools (needs .[bench]; an hour); writes docs/speed.md
	@python -m benchmarks.speed
	@python -m benchmarks.processes
	@python -m benchmarks.layers
	@python -m benchmarks.growth
	@python -m benchmarks.speed_page
