# `make help` lists the targets.
PYTHON  ?= python3
PORT    ?= 8501
ADDRESS ?= 127.0.0.1
JOBS    ?= 2

VENV := .venv
RUN  := $(VENV)/bin/python
# One thread a worker: workers that each start a thread pool of their own slow each other down.
TEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS) --dist worksteal

APP_READY := $(VENV)/.ready-app
DEV_READY := $(VENV)/.ready-dev

.DEFAULT_GOAL := help
.PHONY: help setup app test test-full lint format docs bench screenshots

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  variables: PORT=$(PORT) and ADDRESS=$(ADDRESS) (app), MODEL=my_module:build and TARGET=my_module:my_score (app: a network and a target of your own), JOBS=$(JOBS) (test workers), PYTHON=$(PYTHON) (3.11 or newer; used once, to create $(VENV))"

setup: $(DEV_READY) ## create .venv with all that development needs

app: $(APP_READY) ## serve the app on 127.0.0.1:8501; elsewhere with `make app PORT=8600`, to a room with ADDRESS=0.0.0.0
	$(RUN) -m pages $(if $(MODEL),--model $(MODEL)) $(if $(TARGET),--target $(TARGET)) --server.port $(PORT) --server.address $(ADDRESS)

test: $(DEV_READY) ## run every test but the slow ones (at most 12 minutes on 2 cores)
	$(TEST) -m "not slow"

test-full: $(DEV_READY) ## run the slow tests, which `make test` leaves out; run both for everything
	$(TEST) -m slow

lint: $(DEV_READY) ## ruff check, ruff format --check, mypy --strict over cam_core
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: $(DEV_READY) ## let ruff mend and format what it can
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

docs: $(DEV_READY) ## build guides and API pages into site/; warnings are errors
	$(RUN) -m zensical build --clean --strict

bench: $(DEV_READY) ## compare speed and results with the peer libraries, side by side
	$(RUN) -m benchmarks.peers

screenshots: $(DEV_READY) ## photograph the app in Chromium for the README
	$(RUN) -m scripts.screenshots

# Packages are installed again only when what is required has changed. pip is created last, so a half-made .venv is made anew.
$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, and $(PYTHON) is: $$($(PYTHON) --version 2>&1). Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)

$(APP_READY): requirements.txt constraints.txt | $(VENV)/bin/pip
	$(RUN) -m pip install -r requirements.txt -c constraints.txt
	@touch $@

$(DEV_READY): requirements-dev.txt requirements.txt constraints.txt | $(VENV)/bin/pip
	$(RUN) -m pip install -r requirements-dev.txt -c constraints.txt
	@touch $(APP_READY) $@
