# `make` or `make help` lists the targets. Settings are variables: make quickstart FRAMEWORK=openrlhf
FRAMEWORK ?= verl
FRAMEWORKS := verl openrlhf
SEED ?= 0
SEEDS ?= 0 1 2 3 4 5 6 7 8 9
ROLLOUTS ?= 1000000
FILES ?= 10000
JOBS ?= 2
EXAMPLES ?= 10000
KILLS ?= 6
MINUTES ?= 10
CLIENTS ?= 64
# STRICT=1 ends `make quickstart` with an error where a promise is not reached; RECORD=… is the file of `make seeds`.
# PYTHON=… and TORCH_INDEX=… reach scripts/setup_env.sh, which says what they do.

BIN := .venv/$(FRAMEWORK)/bin
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup quickstart gpu-smoke seeds fuzz fuzz-servers chaos load harness audit contracts test test-fast nightly \
        side-by-side format lint types docs bench clean doctor

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv/$(FRAMEWORK) from the pinned list; does nothing when it is up to date
	@scripts/setup_env.sh $(FRAMEWORK)

quickstart: setup ## set-up, SFT, RL and evaluation of a toy model, report in runs/quickstart
	@$(BIN)/python -m recipes.quickstart --framework $(FRAMEWORK) --seed $(SEED) $(if $(STRICT),--strict)

gpu-smoke: setup ## five minutes on a machine with GPUs: what works there, and one file to send back
	@$(BIN)/python -m recipes.gpu_smoke --framework $(FRAMEWORK)

seeds: setup ## the quickstart with each of SEEDS="0 1 2", the table of all, an error where one does not learn
	@$(BIN)/python -m recipes.quickstart.seeds --framework $(FRAMEWORK) --seeds "$(SEEDS)" $(if $(RECORD),--record $(RECORD))

environments = for framework in $(FRAMEWORKS); do $(MAKE) --no-print-directory setup FRAMEWORK=$$framework; done

# The core needs no framework: its tests run once, in the first environment; in the other one those run that
# depend on a package whose version differs (tests/conftest.py).
once = $(if $(filter $(firstword $(FRAMEWORKS)),$(1)),, and (adapter or both))

test: ## everything CI checks, in both environments: lint, types, unit and integration tests, whole runs of each framework
	@start=$$SECONDS; \
	$(environments); \
	$(MAKE) --no-print-directory -j2 lint types; \
	for framework in $(FRAMEWORKS); do $(MAKE) --no-print-directory unit-$$framework; done; \
	$(MAKE) --no-print-directory side-by-side WHICH="not nightly"; \
	for what in sandbox smollm2; do .venv/$(firstword $(FRAMEWORKS))/bin/python -m tests.support.$$what; done; \
	echo "make test: lint, types, unit, integration and runs of $(FRAMEWORKS) passed in $$((SECONDS - start)) s"

test-fast: setup ## the unit tests of FRAMEWORK, all of the core among them
	@$(BIN)/python -m pytest tests/unit -n 2 --dist loadfile --durations=10

unit-%:
	@echo "== unit tests, $*"
	@.venv/$*/bin/python -m pytest tests/unit -m "not nightly$(call once,$*)" -n 2 --dist loadfile --durations=10

nightly: ## each mode of RL by a whole run on both frameworks, the upstream kits, a lost node: half an hour
	@start=$$SECONDS; \
	$(environments); \
	$(MAKE) --no-print-directory side-by-side WHICH=nightly; \
	echo "make nightly: whole runs of $(FRAMEWORKS) passed in $$((SECONDS - start)) s"

# A start of Ray or vLLM is one process after another that imports: two of these run beside one another, whatever
# their framework, the longest first. What failed is said again at the end, where the other one's lines do not hide it.
LANES ?= 2
BESIDE := $(addprefix beside-,$(filter $(addsuffix @%,$(FRAMEWORKS)),\
    $(if $(filter not,$(WHICH)),verl@integration verl@runs-quickstart openrlhf@runs-quickstart verl@runs-verl \
    openrlhf@runs-openrlhf openrlhf@integration,verl@runs-verl openrlhf@runs-openrlhf verl@integration)))
side-by-side:
	@logs=$$(mktemp -d); trap 'rm -rf "$$logs"' EXIT; \
	$(MAKE) --no-print-directory -k -j$(LANES) $(BESIDE) LOGS="$$logs" || failed=1; \
	if test -n "$${failed:-}"; then \
	    echo "== what failed"; grep -hE "^[a-z]+: (E  |FAILED|ERROR)" "$$logs"/*.failed | tail -n 80 || true; exit 1; fi

$(BESIDE): beside-%:
	@framework=$(firstword $(subst @, ,$*)); tests=tests/$(subst -,/,$(lastword $(subst @, ,$*))); log=$$(mktemp "$(LOGS)/XXXXXX"); \
	echo "== $$tests, $$framework"; \
	.venv/$$framework/bin/python -m pytest $$tests -m "$(WHICH)$(call once,$(firstword $(subst @, ,$*)))" -v --durations=10 2>&1 \
	    | sed -u "s/^/$$framework: /" | tee "$$log" || { mv "$$log" "$$log.failed"; exit 1; }

fuzz: setup ## ROLLOUTS=1000000 trajectories through the whole path, FILES=10000 data files, JOBS=2, SEED=0
	@$(BIN)/python -m tests.fuzz --rollouts $(ROLLOUTS) --jobs $(JOBS) --seed $(SEED)
	@FILES=$(FILES) $(BIN)/python -m pytest -q tests/unit/datasets/test_mutated.py

fuzz-servers: setup ## EXAMPLES=10000 answers of a hostile server through each engine and through stage 1
	@$(BIN)/python -m tests.fuzz.servers --examples $(EXAMPLES)

chaos: setup ## the quickstart under KILLS=6 times kill -9 at random moments (SEED=0), half an hour and more
	@$(BIN)/python -m tests.chaos --framework $(FRAMEWORK) --kills $(KILLS) --seed $(SEED)

load: setup ## CLIENTS=64 clients at once for MINUTES=10 against `threadweaver serve`, faults among them (SEED=0)
	@$(BIN)/python -m tests.load --minutes $(MINUTES) --clients $(CLIENTS) --seed $(SEED)

HARNESS ?= .venv/harness
harness: setup ## lm-eval, inspect-ai and the official client, in .venv/harness, against `threadweaver serve` (network)
	@test -x $(HARNESS)/bin/python || $(or $(PYTHON),python3.11) -m venv $(HARNESS)
	@cmp -s requirements/harness.txt $(HARNESS)/installed.txt || \
	    { $(HARNESS)/bin/python -m pip install -q --disable-pip-version-check --no-deps -r requirements/harness.txt && \
	    cp requirements/harness.txt $(HARNESS)/installed.txt; }
	@HARNESS=$(HARNESS) $(BIN)/python -m pytest tests/harness -v --durations=10

ifdef REF
contracts: setup
	@$(BIN)/python -m tests.contract_matrix $(FRAMEWORK) --ref $(REF)
else
contracts: ## the contract tests with each known version of both frameworks (network), or of FRAMEWORK in REF=checkout
	@$(environments)
	@for framework in $(FRAMEWORKS); do .venv/$$framework/bin/python -m tests.contract_matrix $$framework; done
endif

AUDIT := .venv/audit/bin/pip-audit --no-deps --disable-pip --progress-spinner=off
audit: ## known vulnerabilities of the pinned packages, by PyPI's advisories (network)
	@test -x .venv/audit/bin/pip-audit || { "$${PYTHON:-python3.11}" -m venv .venv/audit && .venv/audit/bin/pip install -q "pip-audit>=2.10,<3"; }
	@# pip-audit skips what the advisories do not know: where they do not even know this, nothing was audited.
	@if $(AUDIT) -r <(echo pillow==9.0.0) >/dev/null 2>&1; then \
		echo "audit: the advisories do not know of pillow 9.0.0, are they reachable?" >&2; exit 1; fi
	@failed=0; for list in requirements/*.txt; do echo "== $$list"; $(AUDIT) -r "$$list" || failed=1; done; exit $$failed

format: setup ## rewrite the code in the project's style
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lint: setup ## style, likely errors, and which package may import which
	@echo "== ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "== import contracts"
	@$(BIN)/lint-imports --no-logo

types: setup ## static types
	@echo "== mypy"
	@$(BIN)/mypy

docs: setup ## the documents and the API reference as a site, build/site; a link that leads nowhere is an error
	@test -x .venv/docs/bin/zensical || { "$${PYTHON:-python3.11}" -m venv .venv/docs && .venv/docs/bin/pip install -q -r requirements/docs.txt; }
	@$(BIN)/python scripts/site_pages.py
	@.venv/docs/bin/zensical build -f mkdocs.yml --strict
	@echo "docs: open build/site/index.html"

bench: setup ## speed of rows and masks on this machine
	@for what in update collate rollout reward; do $(BIN)/threadweaver bench $$what; done

doctor: setup ## is this machine ready, is the plug-in loaded
	@$(BIN)/threadweaver doctor

clean: ## remove caches, build output and runs/ (.venv stays)
	@rm -rf runs build dist outputs .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache ./*.egg-info
	@find . -path ./.venv -prune -o -type d -name __pycache__ -exec rm -rf {} +
