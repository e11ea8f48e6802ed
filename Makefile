PYTHON ?= python3
SERVE_ENV := .venv
DEV_ENV := .venv-dev
AUDIT_ENV := .venv-audit
TOOLS := .tools
BUILD := docker build -f docker/Dockerfile --build-arg REVISION=$$(git rev-parse HEAD) \
	--build-arg VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

.PHONY: help serve fuzz test dev tools lint format settings-table prometheus-rule audit image image-cpu clean

help: ## list what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

serve: $(SERVE_ENV)/.installed ## serve the built-in model on 127.0.0.1:8000
	$(SERVE_ENV)/bin/deeplab-serve

fuzz: $(DEV_ENV)/.installed ## attack parsers and server with many inputs: 25,000 each, an hour and more
	DEEPLAB_FUZZ_INPUTS=25000 OMP_NUM_THREADS=1 $(DEV_ENV)/bin/pytest --capture no tests/fuzz tests/e2e/test_chaos.py

# Compiled files are kept even where the environment forbids it: hundreds of processes load them.
test: lint tools ## lint, types and all tests
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(DEV_ENV)/bin/pytest --numprocesses 2 --dist loadgroup --durations 25

dev: $(DEV_ENV)/.installed ## make the environment for training and tests

tools: $(DEV_ENV)/.installed ## fetch what the tests look at and do not install, where it can be had
	@command -v promtool >/dev/null || test -x $(TOOLS)/promtool \
		|| $(DEV_ENV)/bin/python tests/docker/fetch_prometheus.py $(TOOLS) || true
	@$(DEV_ENV)/bin/python tests/docker/fetch_kserve.py $(TOOLS) || true

lint: $(DEV_ENV)/.installed ## formatting, lint and types
	$(DEV_ENV)/bin/ruff format --check .
	$(DEV_ENV)/bin/ruff check .
	$(DEV_ENV)/bin/mypy

format: $(DEV_ENV)/.installed ## format the code
	$(DEV_ENV)/bin/ruff format .
	$(DEV_ENV)/bin/ruff check --fix .

settings-table: $(DEV_ENV)/.installed ## write the table of settings into docs/operations.md
	$(DEV_ENV)/bin/python -m service.settings_table docs/operations.md

prometheus-rule: ## write the alerts as the Prometheus Operator reads them
	$(PYTHON) docker/prometheus_rule.py > docker/kubernetes/components/monitoring/alerts.yaml

# --strict, since a package that nothing is known of would pass otherwise.
audit: $(SERVE_ENV)/.installed $(AUDIT_ENV)/.installed ## known weaknesses of what serving installs
	$(SERVE_ENV)/bin/pip freeze --exclude-editable > $(AUDIT_ENV)/requirements.txt
	$(AUDIT_ENV)/bin/pip-audit --strict --no-deps --disable-pip --requirement $(AUDIT_ENV)/requirements.txt

image: ## build the image for a GPU
	$(BUILD) -t deeplab-serve:gpu .

image-cpu: ## build the image for a plain CPU
	$(BUILD) --build-arg VARIANT=cpu -t deeplab-serve:cpu .

clean: ## remove the environments and tools
	rm -rf $(SERVE_ENV) $(DEV_ENV) $(AUDIT_ENV) $(TOOLS)

$(SERVE_ENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(SERVE_ENV)
	$(SERVE_ENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[cpu]'
	touch $@

$(DEV_ENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEV_ENV)
	$(DEV_ENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[cpu,train,test]'
	touch $@

$(AUDIT_ENV)/.installed:
	$(PYTHON) -m venv $(AUDIT_ENV)
	$(AUDIT_ENV)/bin/pip install --quiet pip-audit==2.10.1
	touch $@
