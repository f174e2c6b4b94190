# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0

# Every step of CI is a target here. All of them work in a fresh clone on a machine with Python and make:
# what they need is installed into .venv, once, and again when pyproject.toml or constraints.txt changes.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
# knows --group and --build-constraint
PIP_VERSION := 26.3
CODE = $(wildcard src tests tools benchmarks examples fuzz)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# it would like to be upgraded; it is pinned
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help
help: ## print this
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- environments

.PHONY: setup
setup: .venv/.stamp ## create .venv with everything that development needs

.venv/.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "setup: Python 3.11 or newer is needed; PYTHON=... names it" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	    then apt-get update -qq && apt-get install -y -qq python3-venv; \
	    else echo "setup: Python's venv is missing: sudo apt-get install python3-venv" >&2; exit 1; fi
	@echo "setup: installing into .venv (about half a minute)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet pip==$(PIP_VERSION)
	@$(BIN)/python -m pip install --quiet -c constraints.txt --build-constraint constraints.txt --group dev -e '.[all]'
	@touch $@

# The compiler for protos/ has an environment of its own: its protobuf is older than ours.
.venv-gen/.stamp: pyproject.toml | .venv/.stamp
	@python="$$($(BIN)/python -m tools.matrix --find 3.12 3.11)" || \
	    { echo "generate: CPython 3.11 or 3.12 is needed: grpcio-tools 1.62.3 has no wheels for others" >&2; exit 1; }; \
	    [ -x .venv-gen/bin/python ] || "$$python" -m venv .venv-gen
	@.venv-gen/bin/python -m pip install --quiet pip==$(PIP_VERSION)
	@.venv-gen/bin/python -m pip install --quiet --group compiler
	@touch $@

# --- what is generated

.PHONY: vendor
vendor: setup ## copy the google protos from the pinned googleapis-common-protos
	$(BIN)/python tools/vendor.py

.PHONY: generate
generate: setup .venv-gen/.stamp ## compile protos/ into generated/
	$(BIN)/python tools/generate.py

.PHONY: check-generate
check-generate: setup .venv-gen/.stamp ## demand that the vendored protos and generated/ are up to date
	$(BIN)/python tools/vendor.py --check
	$(BIN)/python tools/generate.py --check

.PHONY: unasync
unasync: setup ## write the sync twins of the async modules
	$(BIN)/python tools/unasync.py

.PHONY: check-unasync
check-unasync: setup ## demand that the sync twins are up to date
	$(BIN)/python tools/unasync.py --check

# --- static checks

.PHONY: fmt
fmt: setup ## format the code and the protos, and mend what ruff can mend
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .
	$(BIN)/buf format --write --path protos/example

.PHONY: check-fmt
check-fmt: setup
	$(BIN)/ruff format --check .
	$(BIN)/buf format --diff --exit-code --path protos/example

.PHONY: lint
lint: setup ## ruff
	$(BIN)/ruff check .

.PHONY: proto-lint
proto-lint: setup ## lint the protos, and look for breaking changes since the committed image
	$(BIN)/buf lint
	$(BIN)/buf breaking --against generated/descriptors/longrunning.binpb
	@mkdir -p build
	$(BIN)/buf build -o build/protos.binpb
	$(BIN)/longrunning lint build/protos.binpb --path example
	$(BIN)/longrunning breaking generated/descriptors/longrunning.binpb build/protos.binpb

.PHONY: types
types: setup ## mypy --strict and pyright strict
	$(BIN)/mypy $(CODE)
	$(BIN)/pyright $(CODE)

.PHONY: arch
arch: setup ## the layers of the package, and what its core must not import
	$(BIN)/lint-imports --no-logo

.PHONY: check-repository
check-repository: setup ## licence lines; nothing of one machine
	$(BIN)/python tools/check_repository.py

# --- tests. `make check` adds up what the runs prove; `make promises` shows it.

PYTEST = $(BIN)/python -m pytest --promises=$@

.PHONY: test
test: setup build ## every test that needs pip only: all but those of interop
	$(PYTEST) $(PROMISES) --ignore=tests/interop

.PHONY: docs
docs: setup ## execute the examples of README and docs/
	$(PYTEST) tests/docs

.PHONY: interop
interop: setup ## real clients that nobody here wrote; writes docs/interop.md (in CI, compares)
	@command -v curl >/dev/null || \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	    then apt-get update -qq && apt-get install -y -qq curl; \
	    else echo "interop: curl is missing: sudo apt-get install curl" >&2; exit 1; fi
	$(PYTEST) tests/interop $(if $(CI),,--interop-write)

.PHONY: package
package: build ## the built wheel, alone and beside other packages, in environments of its own
	$(PYTEST) tests/package

.PHONY: promises
promises: setup ## which behaviours of docs/promises.md the last runs of tests proved
	$(BIN)/python tools/promises.py

.PHONY: matrix
matrix: setup ## unit and pair tests on every CPython found, and with the oldest and newest dependencies
	$(BIN)/python -m tools.matrix $(MATRIX)

.PHONY: mutants
mutants: setup ## break the code on purpose and see the tests fail
	$(BIN)/python tools/mutants.py

.PHONY: fuzz
fuzz: .venv/.stamp-fuzz ## atheris, for a minute
	$(BIN)/python -m fuzz

.PHONY: check-fuzz
check-fuzz: setup ## replay what fuzzing found, and the corpus it starts from
	$(BIN)/python -m fuzz --replay fuzz/corpus

.venv/.stamp-fuzz: .venv/.stamp
	@$(BIN)/python -m pip install --quiet -c constraints.txt --group fuzz
	@touch $@

.PHONY: chaos
chaos: setup ## kill a server a thousand times, and see that nothing is lost or doubled (CHAOS="--kills=60 --seed=7")
	$(BIN)/python -m tools.chaos $(CHAOS)

.PHONY: soak
soak: setup ## cut the network under waits a hundred times, then ten thousand races in each store (SOAK="--rounds=1000 --races=0")
	$(BIN)/python -m tools.soak $(SOAK)

# --- to look at

.PHONY: demo
demo: setup ## a Memorystore server and its clients, end to end, through a crash of the server
	$(BIN)/python -m examples.memorystore

.PHONY: examples
examples: setup ## small services: the smallest, one of our own proto, checkpoints, tenants behind TLS, REST with curl
	@for name in smallest library checkpoints tenants rest; do echo; echo "== python -m examples.$$name"; $(BIN)/python -m examples.$$name; done

.PHONY: bench
bench: setup ## side by side with google-api-core: decoding, importing
	$(BIN)/python -m benchmarks

.PHONY: bench-waiting
bench-waiting: setup ## side by side with google-api-core: many waits at once (four minutes)
	$(BIN)/python -m benchmarks.waiting

.PHONY: bench-serving
bench-serving: setup ## the server, beside a bare handler and bare sqlite3 (five minutes)
	$(BIN)/python -m benchmarks.serving

.PHONY: bench-rest
bench-rest: setup ## HTTP/JSON: polls beside google-api-core and bare httpx, the server beside a bare Starlette route
	$(BIN)/python -m benchmarks.rest
	$(BIN)/python -m benchmarks.rest_server

# --- the package, and everything

.PHONY: build
build: setup ## sdist and wheel
	@rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .

.PHONY: wheel-check
wheel-check: build ## what the wheel may hold, and what it may need
	$(BIN)/python tools/check_wheel.py dist/*.whl

CHECKS := check-fmt lint types arch check-unasync check-generate proto-lint check-repository wheel-check check-fuzz mutants interop

.PHONY: check
check: setup ## all that CI runs; ends with the tests, and with every promise proved
	@rm -rf build/promises
	@for target in $(CHECKS); do echo; echo "== make $$target"; $(MAKE) $$target; done
	@echo; echo "== make matrix"; $(MAKE) matrix MATRIX=--short
	@echo; echo "== make test"; $(MAKE) test PROMISES=--promises-require

.PHONY: clean
clean: ## remove what was built, and the environments
	rm -rf .venv .venv-gen build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
