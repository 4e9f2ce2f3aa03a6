PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: venv
venv: $(STAMP)

$(STAMP): requirements.txt requirements-dev.txt infra/local/package-lock.json infra/local/make_venv.py
	$(PYTHON) infra/local/make_venv.py $(VENV)
