PYTHON ?= python3
WORKERS ?= 2
TESTS ?= tests

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ENGINE := $(PYTHON) scripts/engine
# Exports DOCKER_HOST for the rest of a recipe's line; stderr shows what is going on.
WITH_ENGINE = lines="$$($(ENGINE) up)" && eval "$$lines"
CLUSTER := $(PYTHON) scripts/cluster
# Exports KUBECONFIG, and what tests have to know of the private cluster.
WITH_CLUSTER = lines="$$($(CLUSTER) up)" && eval "$$lines"

# Tests, benchmarks and the chaos suite start hundreds of Pythons: with this set in the environment
# each of them compiles the package anew, which doubles how long it takes to start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-cluster bench chaos lint docs engine-up engine-down cluster-up \
	cluster-down clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP)  ## .venv with this package and everything that its development needs

# Made under a lock and stamped at the end: two makes at once build it once, and a half-made one
# is built anew.
$(STAMP): pyproject.toml
	@$(PYTHON) scripts/engine/environment.py $(VENV) $(STAMP)

demo: $(STAMP)  ## train and infer examples/bikes on amd64, arm64 and the host, and compare
	@$(WITH_ENGINE) && $(BIN)/python scripts/demo.py

test: $(STAMP)  ## all tests, against a real engine (TESTS=…, WORKERS=…); leaves it running
	@$(WITH_ENGINE) && $(BIN)/python -m pytest -n $(WORKERS) $(TESTS)

test-cluster: $(STAMP)  ## the tests on Kubernetes, on a private cluster or KUBECONFIG's; leaves it running
	@$(WITH_ENGINE) && $(WITH_CLUSTER) && $(BIN)/python -m pytest -n $(WORKERS) tests/kubernetes

bench: $(STAMP)  ## what the plugin costs, as ratios
	@$(WITH_ENGINE) && $(BIN)/python -m benchmarks

chaos: $(STAMP)  ## the fault suite: kills, restarts, floods, hostile outputs (CHAOS="kills --trials 5")
	@$(WITH_ENGINE) && $(BIN)/python -m benchmarks.chaos $(CHAOS)

lint: $(STAMP)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)  ## the documentation as a site, in build/site; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

engine-up:  ## a working engine; prints the line for the shell: eval "$(make -s engine-up)"
	@$(ENGINE) up

engine-down:  ## remove the private engine and all that it holds
	@$(ENGINE) down

cluster-up:  ## a private Kubernetes cluster; prints lines for the shell: eval "$(make -s cluster-up)"
	@$(CLUSTER) up

cluster-down:  ## remove the private cluster, but not what was built for it, which the next one uses
	@$(CLUSTER) down

clean:  ## remove the virtual environment and caches (engine-down removes the engine)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .tox
	find . -name __pycache__ -type d -not -path './.engine/*' -not -path './.cluster/*' -prune -exec rm -rf {} +
