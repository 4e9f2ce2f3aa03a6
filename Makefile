# The first Python here that will do; `make PYTHON=python3.13 …` chooses another one.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	2>/dev/null && echo $$python && exit; done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

RUNTIME := .venv-runtime

.PHONY: help venv run test torture bench check format-check lint types imports load format bicep package doctor audit licences checkov

## make run      the whole app on this machine, with a demonstration (ONCE=1 ends by itself,
##               EMPTY=1 shows none: set it up in the console, with the guide)
## make test     all tests (ARGS="-k sweep" chooses some)
## make torture  the model and the kills for minutes (TORTURE_MINUTES=10 TORTURE_KILLS=60 TORTURE_SEED=)
## make bench    every figure of the design beside its floor (FULL=1: 20,000 and 100,000 people)
## make check    all static checks: format-check, lint, types, imports, load, bicep
## make package  the deployment package: made, and loaded by itself
## make audit    also licences, doctor, checkov: tools from elsewhere, in environments of their own
## make format   format the code and mend what the linter can mend
## make venv     the environment alone, in .venv
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

venv: $(STAMP)

$(STAMP): requirements.txt requirements-dev.txt infra/local/package-lock.json infra/local/make_venv.py
	@$(PYTHON) infra/local/make_venv.py $(VENV)

run: $(STAMP)
	@$(BIN)/python -m infra.local.demo $(if $(filter-out 0 no false,$(ONCE)),--once) $(if $(filter-out 0 no false,$(EMPTY)),--empty)

# Two workers: the stories start whole worlds, and more of them at once only wait for each other.
test: $(STAMP)
	@$(BIN)/python -m infra.local.browser
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile $(ARGS)

# Each run has a seed of its own and prints it; a failure says how to play the same again.
torture: $(STAMP)
	@$(BIN)/python -m pytest -q -n 0 -s -m torture tests/torture $(ARGS)

bench: $(STAMP)
	@$(BIN)/python -m bench $(if $(filter-out 0 no false,$(FULL)),--full) $(ARGS)

check: format-check lint types imports load bicep

format-check: $(STAMP)
	@$(BIN)/ruff format --check .

lint: $(STAMP)
	@$(BIN)/ruff check .

types: $(STAMP)
	@$(BIN)/mypy

imports: $(STAMP)
	@PYTHONPATH=. $(BIN)/lint-imports

load: $(STAMP)
	@$(BIN)/python -m infra.local.load_check

format: $(STAMP)
	@$(BIN)/ruff check --fix -q . || true
	@$(BIN)/ruff format .

bicep: $(STAMP)
	@$(BIN)/python -m infra.checks.bicep

package: $(STAMP)
	@$(PYTHON) infra/local/make_venv.py $(RUNTIME) --runtime-only
	@$(BIN)/python -m infra.checks.package $(RUNTIME)

doctor audit licences checkov: $(STAMP)
	@$(BIN)/python -m infra.checks.tools $@
