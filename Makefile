PYTHON ?= python3
SERVE_ENV := .venv
DEV_ENV := .venv-dev

.PHONY: help serve test dev lint format settings-table audit clean

help: ## list what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

serve: $(SERVE_ENV)/.installed ## serve the built-in model on 127.0.0.1:8000
	$(SERVE_ENV)/bin/deeplab-serve

test: lint ## lint, types and all tests
	OMP_NUM_THREADS=1 $(DEV_ENV)/bin/pytest --numprocesses 2 --dist loadgroup --durations 25

dev: $(DEV_ENV)/.installed ## make the environment for training and tests

lint: $(DEV_ENV)/.installed ## formatting, lint and types
	$(DEV_ENV)/bin/ruff format --check .
	$(DEV_ENV)/bin/ruff check .
	$(DEV_ENV)/bin/mypy

format: $(DEV_ENV)/.installed ## format the code
	$(DEV_ENV)/bin/ruff format .
	$(DEV_ENV)/bin/ruff check --fix .

settings-table: $(DEV_ENV)/.installed ## write the table of settings into docs/operations.md
	$(DEV_ENV)/bin/python -m service.settings_table docs/operations.md

clean: ## remove the environments
	rm -rf $(SERVE_ENV) $(DEV_ENV)

$(SERVE_ENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(SERVE_ENV)
	$(SERVE_ENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[cpu]'
	touch $@

$(DEV_ENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEV_ENV)
	$(DEV_ENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[cpu,train,test]'
	touch $@
