# The first Python here that will do; `make PYTHON=python3.13 …` chooses another one.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	2>/dev/null && echo $$python && exit; done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: help venv run test check format-check lint types imports load format

## make run      the whole app on this machine, with a demonstration (ONCE=1 ends by itself)
## make test     all tests (ARGS="-k sweep" chooses some)
## make check    all static checks: format-check, lint, types, imports, load
## make format   format the code and mend what the linter can mend
## make venv     the environment alone, in .venv
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

venv: $(STAMP)

$(STAMP): requirements.txt requirements-dev.txt infra/local/package-lock.json infra/local/make_venv.py
	@$(PYTHON) infra/local/make_venv.py $(VENV)

run: $(STAMP)
	@$(BIN)/python -m infra.local.demo $(if $(filter-out 0 no false,$(ONCE)),--once)

# Two workers: the stories start whole worlds, and more of them at once only wait for each other.
test: $(STAMP)
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile $(ARGS)

check: format-check lint types imports load

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
