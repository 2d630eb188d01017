# Every command of the project. `make help` lists them; CI runs the same ones.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
# pip takes the versions in constraints.txt and nothing else.
# Twice quiet: setuptools warns at length about every editable install. Errors still show.
INSTALL := $(PIP) install -qq --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install dev demo up test test-unit lint format migrate train train-champion train-eyes evaluate \
        mlflow serve ui bench soak-catalog constraints docker-build docker-up docker-down clean

help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The extras of everything that `make demo` and `make up` start.
SERVICES := gateway,ingest,webhooks,worker-cpu,drift,cli,ui,local

# A stamp a group: a second run sees that nothing changed and installs nothing.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; this is $$($(PYTHON) --version). Set PYTHON=python3.12, say."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.python pyproject.toml constraints.txt Makefile
	@echo "Installing the services (once) ..."
	$(INSTALL) --editable '.[$(SERVICES)]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run pyproject.toml constraints.txt Makefile
	@echo "Installing torch and the development tools (once) ..."
	$(INSTALL) --editable '.[$(SERVICES),training,mlflow,dev]'
	@touch $@

install: $(VENV)/.run ## Install what running the services needs
dev: $(VENV)/.dev ## Install everything, training and development tools too, and the git hooks
	@if [ -d .git ]; then $(BIN)/pre-commit install > /dev/null; fi

demo: $(VENV)/.run ## Boot everything and judge the sample photos (ONCE=1 stops by itself)
	@ONCE="$(ONCE)" $(BIN)/python -m infra.local.demo

up: $(VENV)/.run ## Boot servers and services; prints URL and key; Ctrl-C stops
	@$(BIN)/detector up

# A process a core and one more, as tests of servers wait half of their time; each has servers of
# its own. Where ARGS names a file or a folder, just one: its start costs more than it saves.
PROCESSES = $(shell $(PYTHON) -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))')
PARALLEL = $(if $(findstring tests/,$(ARGS)),,--numprocesses=$(PROCESSES) \
  --dist=loadfile --no-loadscope-reorder)

test: $(VENV)/.dev ## Run the whole suite against real servers (ARGS=tests/unit, say: a part of it)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-unit: $(VENV)/.dev ## Run the tests that need no server
	$(BIN)/python -m pytest tests/unit $(ARGS)

lint: $(VENV)/.dev ## Check style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

migrate: $(VENV)/.run ## Bring the database of DETECTOR_DATABASE_URL to the newest schema
	$(BIN)/detector db upgrade

# Without a dataset the whole way is shown on a synthetic one.
CONFIGS := services/training/configs
ifdef DETECTOR_DATASET_DIR
CONFIG ?= $(CONFIGS)/short.yaml
else
CONFIG ?= $(CONFIGS)/sample.yaml
SAMPLE_SET := data/cache/sample
endif

train: $(VENV)/.dev ## Train, evaluate and register a challenger (CONFIG=FILE; default: minutes, on the CPU)
ifdef SAMPLE_SET
	@test -f $(SAMPLE_SET)/manifest.csv || $(BIN)/detector data sample $(SAMPLE_SET)
	DETECTOR_DATASET_DIR=$(SAMPLE_SET) $(BIN)/python -m services.training run --config $(CONFIG)
else
	$(BIN)/python -m services.training run --config $(CONFIG)
endif

# The champion joins two runs, of which one goes on from others. A run that is done is not repeated.
CHAMPION_RUNS := first experiments/unfrozen experiments/more-sources second texture

train-champion: $(VENV)/.dev ## The shipped model's runs: hours on two cores (docs/experiments.md)
	for run in $(CHAMPION_RUNS); do \
	  $(BIN)/python -m services.training train --config $(CONFIGS)/$$run.yaml || exit 1; done
	$(BIN)/python -m services.training run --config $(CONFIGS)/champion.yaml

train-eyes: $(VENV)/.dev ## The shipped package of members: view and tiles (docs/training.md)
	nice $(BIN)/python -m services.training eyes run

evaluate: $(VENV)/.dev ## Measure the shipped champion on the dataset's test splits
	$(BIN)/python -m services.training evaluate

mlflow: $(VENV)/.dev ## Show training runs and registered models on http://127.0.0.1:5000
	@$(BIN)/python -m infra.local.mlflow_ui

serve: $(VENV)/.run ## Run only the gateway (servers from DETECTOR_*; see docs/configuration.md)
	$(BIN)/python -m services.gateway

ui: $(VENV)/.run ## Run only the web UI (DETECTOR_URL, DETECTOR_API_KEY)
	$(BIN)/python -m streamlit run services/ui/app.py --server.address 127.0.0.1

bench: $(VENV)/.run ## Images/s through the whole stack beside the bare ceiling
	$(BIN)/python -m infra.bench

soak-catalog: $(VENV)/.run ## Catalogs of 1k, 10k and 100k rows, with lone jobs meanwhile; writes docs/benchmarks.md
	$(BIN)/python -m infra.bench.soak $(ARGS)

constraints: $(VENV)/.dev ## Write constraints.txt from what is installed
	$(BIN)/python -m infra.constraints > constraints.tmp && mv constraints.tmp constraints.txt

docker-build: ## Build the images
	docker compose build

docker-up: ## Start the stack with Docker (needs .env; see .env.example)
	docker compose up --detach --wait

docker-down: ## Stop it; data volumes stay
	docker compose down

clean: ## Remove the environment and caches (not .local/, which holds data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build *.egg-info
