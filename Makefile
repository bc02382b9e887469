# Every target does its own set-up, shows progress on anything long, and costs nothing when there is nothing to do.
# `make demo` and `make test` are all that a newcomer needs; CONTRIBUTING.md tells when to use the others.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Parallel test processes; the machine's cores unless told.
JOBS ?= auto

.DEFAULT_GOAL := help

.PHONY: help
help: ## What there is to run
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.user: setup.cfg pyproject.toml deploy/install.sh
	@deploy/install.sh "$(PYTHON)" "$(VENV)"
	@touch $@

$(VENV)/.dev: $(VENV)/.user
	@deploy/install.sh "$(PYTHON)" "$(VENV)" dev
	@touch $@

.PHONY: install
install: $(VENV)/.user ## .venv with the mesh-adapter command in it

.PHONY: dev
dev: $(VENV)/.dev ## the same, with all that tests and checks need

.PHONY: demo
demo: install ## Envoys, a control plane and three services on this machine, no server needed
	@$(BIN)/mesh-adapter demo

.PHONY: servers
servers: ## Consul, Vault, Nomad, kube-apiserver and Envoy for the tests, built once into ~/.cache
	@deploy/servers/packages.sh
	@$(PYTHON) deploy/servers/build.py

.PHONY: check
check: dev ## formatting, lint, types, layers and the tests that need no server (under a minute)
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@found=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$found"; exit 1; }; tail -n 1 <<< "$$found"
	@$(BIN)/pytest -q -n $(JOBS) -m "not integration and not e2e" tests/unit tests/contract tests/golden

.PHONY: test
test: dev servers check ## everything: make check, then the tests with real servers and real Envoys
	@$(BIN)/pytest -q -n $(JOBS) --dist worksteal tests/property
	@$(BIN)/pytest -q -m "integration or e2e" --durations 10 tests

.PHONY: golden
golden: dev ## write tests/golden anew from what the code does now; look at the difference before you commit
	@$(BIN)/pytest -q tests/golden --update-golden

.PHONY: docs
docs: dev ## write the generated pages of docs/reference and manifests of deploy/kubernetes anew
	@PYTHONPATH=. $(BIN)/python docs/traffic_reference.py
	@PYTHONPATH=. $(BIN)/python deploy/kubernetes/crds.py

.PHONY: bench
bench: dev servers ## figures, printed and kept in bench/results
	@$(BIN)/python -m bench

.PHONY: clean
clean: ## remove what make made here (the cache of servers stays)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info build dist
