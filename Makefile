# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
# Everything that is needed besides Python 3.11 and make is brought into .venv and .cache below this folder.
PYTHON ?= python3.11
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

ROOT := $(CURDIR)
VENV := $(ROOT)/.venv
CACHE := $(ROOT)/.cache
BIN := $(VENV)/bin
READY := $(VENV)/.ready
COLLECTION := $(VENV)/lib/python3.11/site-packages/ansible_collections/mlops/mlflow_aws
LOCAL_AWS_HOME := $(CACHE)/local_aws
LOCAL_AWS_VENV := $(LOCAL_AWS_HOME)/venv
LOCAL_AWS_PYTHON := $(LOCAL_AWS_VENV)/bin/python
LOCAL_AWS_REQUIREMENTS := roles/local_aws/files/requirements.txt
LOCAL_AWS_TEST_REQUIREMENTS := tests/unit/local_aws/requirements.txt
# The stamp by which the role local_aws knows that there is nothing to install: the SHA-256 of its requirements without the last newline.
LOCAL_AWS_INSTALLED = $(LOCAL_AWS_VENV)/.installed-$(firstword $(shell printf %s "$$(cat $(LOCAL_AWS_REQUIREMENTS))" | sha256sum))
LOCAL_AWS_TESTABLE := $(LOCAL_AWS_VENV)/.testable

export PATH := $(BIN):$(PATH)
export UV_CACHE_DIR ?= $(CACHE)/uv
export PIP_CACHE_DIR ?= $(CACHE)/pip
export ANSIBLE_HOME := $(CACHE)/ansible
export ANSIBLE_CONFIG := $(ROOT)/ansible.cfg
export ANSIBLE_LOCAL_TEMP := $(CACHE)/ansible/tmp
export ANSIBLE_REMOTE_TEMP := $(CACHE)/ansible/tmp
export ANSIBLE_ASYNC_DIR := $(CACHE)/ansible/async
export PYTHONDONTWRITEBYTECODE := 1

PLAYBOOK = mkdir -p $(CACHE)/tmp && TMPDIR=$(CACHE)/tmp $(BIN)/ansible-playbook
# ARGS="-e mlflow_version=3.10.0" and the like go to ansible-playbook as they are.
ARGS ?=
VERSION ?=
REHEARSAL = -e '{"local_aws_home": "$(LOCAL_AWS_HOME)", "local_aws_stop_hint": "make rehearse-down", "mlflow_login_hint": "make rehearse-login"}' $(ARGS)

.PHONY: help
help: ## List the targets
	@echo 'mlops.mlflow_aws: MLflow on AWS, and a local AWS to rehearse it on'
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "  make %-18s %s\n", $$1, $$2}'
	@echo
	@echo '  ARGS="-e mlflow_version=3.10.0" hands arguments to ansible-playbook.'

# ---- set-up -------------------------------------------------------------------------------------------------------
.PHONY: setup
setup: $(READY) ## Bring the development tools into .venv

$(READY): requirements-dev.txt
	@echo '==> Setting up .venv: Ansible and the development tools (the first time, about 150 MB are downloaded)'
	@mkdir -p $(CACHE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo 'Python 3.11 is needed: make PYTHON=/path/to/python3.11 …'; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5'
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt
	@# uv leaves out the bytecode; every AWS module's process would compile these anew, a fifth of a converge.
	@$(BIN)/python -m compileall -q $(addprefix $(VENV)/lib/python3.11/site-packages/,ansible jinja2 yaml cryptography botocore boto3 s3transfer urllib3 dateutil jmespath)
	@mkdir -p $(dir $(COLLECTION))
	@ln -sfn $(ROOT) $(COLLECTION)
	@touch $@

# ---- rehearsal ------------------------------------------------------------------------------------------------------
.PHONY: rehearse
rehearse: $(READY) ## Local AWS up, MLflow deployed on it and validated; again: a converge
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse $(REHEARSAL)

.PHONY: rehearse-up
rehearse-up: $(READY) ## Only start the local AWS
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_up $(REHEARSAL)

.PHONY: rehearse-check
rehearse-check: $(READY) ## Say what make rehearse would change (ansible-playbook --check --diff)
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse $(REHEARSAL) --check --diff

.PHONY: rehearse-login
rehearse-login: $(READY) ## Show the user and the password of the rehearsed deployment
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_login $(REHEARSAL)

.PHONY: rehearse-destroy
rehearse-destroy: $(READY) ## Destroy the rehearsed deployment, as the destroy playbook does at AWS
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_destroy $(REHEARSAL)

.PHONY: rehearse-down
rehearse-down: $(READY) ## Stop the local AWS and all that runs on it (its data stay in .cache)
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_down $(REHEARSAL)

.PHONY: rehearse-wipe
rehearse-wipe: $(READY) ## Stop the local AWS and delete its data
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_down $(REHEARSAL) -e local_aws_wipe=true

# ---- checks ---------------------------------------------------------------------------------------------------------
# ansible-test wants the collection inside a tree called ansible_collections, with its dependencies beside it, and lists its
# files with git. Its caches go below .cache, as everything does.
SITE := $(CACHE)/site
SITE_VENV := $(CACHE)/site-venv
TREE_ROOT := $(CACHE)/tree
TREE := $(TREE_ROOT)/ansible_collections
ANSIBLE_TEST_HOME := $(CACHE)/ansible-test
ANSIBLE_TEST = cd $(TREE)/mlops/mlflow_aws && HOME=$(ANSIBLE_TEST_HOME) $(BIN)/ansible-test

# What is cheap first, and what galaxy-importer lints, as that has a time limit of its own. What is dear mostly waits, so three rows of
# it stand side by side; all that uses .cache/tree is in one of them.
.PHONY: test
test: lint types $(LOCAL_AWS_TESTABLE) ## All checks (but for the long ones: make nightly)
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=line units test-galaxy
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=line test-package test-local-aws test-stories
	@echo '==> All checks passed'

ifdef IN_TURN
.NOTPARALLEL:
endif

.PHONY: test-galaxy
test-galaxy:
	@$(MAKE) --no-print-directory IN_TURN=yes importer docs-lint

.PHONY: test-package
test-package:
	@$(MAKE) --no-print-directory IN_TURN=yes sanity site versions ansible-test-units

.PHONY: test-local-aws
test-local-aws:
	@$(MAKE) --no-print-directory IN_TURN=yes local-aws-units ARGS='-m "not long"'
	@$(MAKE) --no-print-directory IN_TURN=yes readers ARGS='-m "not long"'
	@$(MAKE) --no-print-directory IN_TURN=yes molecule MOLECULE='--scenario-name deployment --scenario-name drift'

.PHONY: test-stories
test-stories:
	@$(MAKE) --no-print-directory IN_TURN=yes end-to-end ARGS='-m "not long"'

.PHONY: nightly
nightly: ## The stories whole, with all that make test leaves out to take half an hour at most
	@$(MAKE) --no-print-directory local-aws-units ARGS='-m long'
	@$(MAKE) --no-print-directory end-to-end
	@$(MAKE) --no-print-directory readers
	@MLFLOW_AWS_MOLECULE_SIZE=default $(MAKE) --no-print-directory molecule

# Under a minute on two cores, warm. The rest of the units: make units.
QUICK_UNITS := tests/unit/plugins/filter $(addprefix tests/unit/test_,conformance.py release.py support.py) \
	$(addprefix tests/unit/plugins/module_utils/test_,ecs_express_compare.py versions.py)
.PHONY: check
check: tree $(LOCAL_AWS_INSTALLED) ## The quick checks, for use while editing
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint-ansible check-parts
	@echo '==> The quick checks passed'

.PHONY: check-parts
check-parts:
	@$(MAKE) --no-print-directory lint-files
	@$(MAKE) --no-print-directory types
	@echo '==> Quick unit tests'
	@$(BIN)/python -m pytest -q $(QUICK_UNITS)

.PHONY: lint
lint: lint-files lint-ansible ## Everything that reads files alone

.PHONY: lint-files
lint-files: $(READY) ## ruff, yamllint, licences (REUSE), workflow files, changelog, generated pages
	@echo '==> ruff'
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@echo '==> yamllint'
	@$(BIN)/yamllint --strict .
	@echo '==> Licences (REUSE)'
	@$(BIN)/reuse lint --lines
	@echo '==> Workflow files'
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/zizmor --quiet --offline --min-severity medium .github
	@$(BIN)/shellcheck .ci/run
	@echo '==> antsibull-changelog'
	@$(BIN)/antsibull-changelog lint
	@echo '==> docs/variables.md, specifications and defaults agree'
	@$(BIN)/python tests/tools/variables_table.py --check
	@echo '==> docs/local-aws.md and coverage.toml agree'
	@$(BIN)/python tests/tools/coverage_table.py --check
	@echo '==> Module pages and the modules agree'
	@$(BIN)/python tests/tools/module_pages.py --check

.PHONY: lint-ansible
lint-ansible: $(READY) ## ansible-lint, profile production and the opt-in rules of .ansible-lint
	@echo '==> ansible-lint'
	@$(BIN)/ansible-lint --offline --strict -q

.PHONY: types
types: tree $(LOCAL_AWS_INSTALLED) ## mypy, strict, on what plugins share and on the local AWS
	@echo '==> mypy'
	@cd $(TREE_ROOT) && $(BIN)/mypy --config-file $(ROOT)/pyproject.toml --cache-dir $(CACHE)/mypy --namespace-packages --explicit-package-bases \
		ansible_collections/mlops/mlflow_aws/plugins/module_utils ansible_collections/mlops/mlflow_aws/plugins/plugin_utils \
		ansible_collections/mlops/mlflow_aws/plugins/filter
	@cd roles/local_aws/files && $(BIN)/mypy --config-file $(ROOT)/pyproject.toml --cache-dir $(CACHE)/mypy --python-executable $(LOCAL_AWS_PYTHON) local_aws

.PHONY: units
units: $(READY) ## Unit tests of the plugins (pytest)
	@echo '==> Unit tests of the plugins'
	@$(BIN)/python -m pytest -q -n 2 tests/unit --ignore tests/unit/local_aws

$(LOCAL_AWS_INSTALLED): | $(READY)
	@echo '==> Setting up the local AWS (the first time, about 150 MB are downloaded)'
	@mkdir -p $(LOCAL_AWS_HOME)
	@test -x $(LOCAL_AWS_PYTHON) || $(BIN)/python -m venv $(LOCAL_AWS_VENV)
	@$(BIN)/uv pip install --quiet --python $(LOCAL_AWS_PYTHON) -r $(LOCAL_AWS_REQUIREMENTS)
	@touch $@

$(LOCAL_AWS_TESTABLE): $(LOCAL_AWS_INSTALLED) $(LOCAL_AWS_TEST_REQUIREMENTS)
	@$(BIN)/uv pip install --quiet --python $(LOCAL_AWS_PYTHON) -r $(LOCAL_AWS_TEST_REQUIREMENTS)
	@touch $@

.PHONY: local-aws-units
local-aws-units: $(LOCAL_AWS_TESTABLE) ## Tests of the local AWS through boto3 (pytest, in its own environment)
	@echo '==> Tests of the local AWS'
	@LOCAL_AWS_RUNTIMES=$(LOCAL_AWS_HOME)/runtimes $(LOCAL_AWS_PYTHON) -m pytest -q -n 4 --dist loadfile $(ARGS) tests/unit/local_aws

.PHONY: end-to-end
end-to-end: $(LOCAL_AWS_TESTABLE) ## Bad input and failure, as a user meets them (pytest, on a local AWS of its own)
	@echo '==> Bad input and failure, end to end'
	@MLFLOW_AWS_SOFTWARE=$(LOCAL_AWS_HOME) $(BIN)/python -m pytest -q -n 3 --dist loadfile --durations=12 $(ARGS) tests/end_to_end

EXPLANATIONS := tests/end_to_end/test_explain.py tests/end_to_end/test_express_module.py
.PHONY: explanations
explanations: $(LOCAL_AWS_TESTABLE) ## Of these, only what the modules say and do about each fault
	@echo '==> Explained failures'
	@MLFLOW_AWS_SOFTWARE=$(LOCAL_AWS_HOME) $(BIN)/python -m pytest -q $(ARGS) $(EXPLANATIONS)

.PHONY: readers
readers: $(LOCAL_AWS_TESTABLE) ## Every block of the documentation; execution environment, navigator, AWX, credentials in every way
	@echo '==> What the documentation says is done'
	@MLFLOW_AWS_SOFTWARE=$(LOCAL_AWS_HOME) $(BIN)/python -m pytest -q $(ARGS) tests/readers

BROWSER := $(CACHE)/browser
$(BROWSER)/.ready: tests/browser/requirements.txt | $(READY)
	@echo '==> What drives a browser (45 MB are downloaded)'
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --target $(BROWSER) -r tests/browser/requirements.txt
	@touch $@

.PHONY: browser
browser: $(LOCAL_AWS_TESTABLE) $(BROWSER)/.ready ## MLflow's pages in a real Chromium, with each login (needs a chromium, so it is not part of make test)
	@echo '==> A real browser; pictures go to .cache/screenshots'
	@MLFLOW_AWS_SOFTWARE=$(LOCAL_AWS_HOME) PYTHONPATH=$(BROWSER) SCREENSHOTS=$(CACHE)/screenshots \
		$(BIN)/python -m pytest -q $(ARGS) tests/browser/test_browser.py

.PHONY: tree
tree: $(READY)
	@rm -rf $(TREE)
	@mkdir -p $(TREE)/mlops/mlflow_aws $(TREE)/amazon $(ANSIBLE_TEST_HOME)/.ansible/test/cache
	@git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do if [ -e "$$f" ]; then printf '%s\0' "$$f"; fi; done \
		| xargs -0 cp --parents -t $(TREE)/mlops/mlflow_aws
	@ln -s $(VENV)/lib/python3.11/site-packages/ansible_collections/amazon/aws $(TREE)/amazon/aws
	@git -C $(TREE)/mlops/mlflow_aws init --quiet
	@git -C $(TREE)/mlops/mlflow_aws add --all
	@cp tests/tools/get_pip.py $(ANSIBLE_TEST_HOME)/.ansible/test/cache/get_pip_24_2.py

# The other end of what is supported: amazon.aws 11.4.0, with the oldest boto3. What runs in .venv is the one end.
VERSIONS := $(CACHE)/versions
VERSIONS_BIN := $(VERSIONS)/venv/bin
OTHER_AMAZON_AWS := $(VERSIONS)/collections/ansible_collections/amazon/aws
$(VERSIONS)/.ready: tests/versions/requirements.txt tests/versions/collections.txt | $(READY)
	@echo '==> The other supported versions of Ansible, boto3 and amazon.aws (about 70 MB are downloaded)'
	@rm -rf $(VERSIONS) && mkdir -p $(VERSIONS)/wheels
	@$(BIN)/python -m venv --without-pip $(VERSIONS)/venv
	@$(BIN)/uv pip install --quiet --python $(VERSIONS_BIN)/python -r tests/versions/requirements.txt
	@$(VERSIONS_BIN)/python -m compileall -q $(VERSIONS)/venv/lib/python3.11/site-packages || true
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps --python-version 3.13 --only-binary=:all: \
		--require-hashes -r tests/versions/collections.txt -d $(VERSIONS)/wheels
	@$(BIN)/python tests/versions/unpack.py amazon/aws $(VERSIONS)/wheels/*.whl $(VERSIONS)/collections
	@rm -r $(VERSIONS)/wheels
	@touch $@

.PHONY: sanity
sanity: tree ## ansible-test sanity
	@echo '==> ansible-test sanity (the first time, its tools are brought from PyPI)'
	@$(ANSIBLE_TEST) sanity --venv --python 3.11 --color no

.PHONY: docs-lint
docs-lint: tree $(SITE_VENV)/.ready ## antsibull-docs: every reference in the documentation of plugins leads somewhere
	@echo '==> antsibull-docs'
	@cd $(TREE)/mlops/mlflow_aws && ANSIBLE_COLLECTIONS_PATH=$(TREE_ROOT) PATH=$(SITE_VENV)/bin:$(PATH) $(SITE_VENV)/bin/antsibull-docs \
		lint-collection-docs --plugin-docs --validate-collection-refs=all --skip-rstcheck .

# What users install: the tarball, and of it only the folders without which no collection works.
ARTIFACT := $(CACHE)/artifact
ARTIFACT_INSTALLED := $(ARTIFACT)/installed
.PHONY: artifact
artifact: tree ## Build the tarball, look into it, install it into an empty path and leave there only what a collection must work with
	@echo '==> The tarball'
	@rm -rf $(ARTIFACT) && mkdir -p $(ARTIFACT)
	@$(BIN)/ansible-galaxy collection build $(TREE)/mlops/mlflow_aws --output-path $(ARTIFACT) >/dev/null
	@$(BIN)/python tests/artifact/install.py $(ARTIFACT)/*.tar.gz $(ARTIFACT_INSTALLED)
	@MLFLOW_AWS_TARBALL=$$(echo $(ARTIFACT)/*.tar.gz) MLFLOW_AWS_INSTALLED=$(ARTIFACT_INSTALLED) MLFLOW_AWS_TREE=$(TREE)/mlops/mlflow_aws \
		$(BIN)/python -m pytest -q tests/artifact

.PHONY: versions
versions: artifact $(VERSIONS)/.ready $(LOCAL_AWS_TESTABLE) ## The installed tarball, rehearsed with the newest amazon.aws and the oldest boto3
	@echo '==> The tarball with amazon.aws 11.4.0 and the oldest boto3'
	@MLFLOW_AWS_INSTALLED=$(ARTIFACT_INSTALLED) MLFLOW_AWS_VERSIONS=$(VERSIONS) MLFLOW_AWS_SOFTWARE=$(LOCAL_AWS_HOME) \
		$(BIN)/python -m pytest -q $(ARGS) tests/versions

IMPORTER := $(CACHE)/importer
$(IMPORTER)/.ready: tests/importer/requirements.txt | $(READY)
	@echo '==> What Galaxy imports with (10 MB are downloaded)'
	@mkdir -p $(IMPORTER)
	@test -x $(IMPORTER)/venv/bin/python || $(BIN)/python -m venv --without-pip $(IMPORTER)/venv
	@$(BIN)/uv pip install --quiet --python $(IMPORTER)/venv/bin/python -r tests/importer/requirements.txt
	@touch $@

.PHONY: importer
importer: artifact $(IMPORTER)/.ready ## What Galaxy would say of the tarball (galaxy-importer, no warning)
	@echo '==> galaxy-importer'
	@$(IMPORTER)/venv/bin/python tests/importer/importer.py $(ARTIFACT)/*.tar.gz $(IMPORTER)/result

.PHONY: ansible-test-units
ansible-test-units: tree $(VERSIONS)/.ready ## ansible-test units, with the newest amazon.aws and the oldest boto3
	@echo '==> ansible-test units, with amazon.aws 11.4.0 and the oldest boto3'
	@ln -sfn $(OTHER_AMAZON_AWS) $(TREE)/amazon/aws
	@$(ANSIBLE_TEST) units --venv --python 3.11 --color no tests/unit/plugins/

# One story: make molecule MOLECULE='--scenario-name drift'. What molecule keeps lies beside the local AWS of the scenarios.
MOLECULE := --all --workers 2
export MLFLOW_AWS_MOLECULE_HOME ?= $(CACHE)/molecule
export MLFLOW_AWS_MOLECULE_SOFTWARE ?= $(LOCAL_AWS_HOME)
.PHONY: molecule
molecule: $(READY) ## The stories: deploy, break, repair, validate, destroy (molecule)
	@echo '==> molecule'
	@MOLECULE_EPHEMERAL_DIRECTORY=$(MLFLOW_AWS_MOLECULE_HOME)/ephemeral $(BIN)/molecule test $(MOLECULE)

# ---- benchmarks and documents -----------------------------------------------------------------------------------------
.PHONY: bench
bench: $(READY) ## Measure one deployment and ten; writes docs/benchmarks.md
	@$(BIN)/python tests/bench/bench.py --home $(CACHE)/bench --software $(LOCAL_AWS_HOME) --write docs/benchmarks.md

.PHONY: canary
canary: $(LOCAL_AWS_TESTABLE) ## Measure which updates the rollback alarm takes back; writes docs/canary.md
	@MLFLOW_AWS_SOFTWARE=$(LOCAL_AWS_HOME) $(BIN)/python tests/bench/canary.py --write docs/canary.md

.PHONY: generate
generate: $(READY) ## Write docs/variables.md, docs/modules and docs/policies from specifications and plugins
	@$(BIN)/python tests/tools/variables_table.py
	@$(BIN)/python tests/tools/module_pages.py
	@$(BIN)/python tests/tools/coverage_table.py
	@$(PLAYBOOK) mlops.mlflow_aws.policies -e mlflow_policies_path=$(ROOT)/docs/policies >/dev/null

$(SITE_VENV)/.ready: tests/site/requirements.txt | $(READY)
	@echo '==> What builds the site (30 MB are downloaded)'
	@test -x $(SITE_VENV)/bin/python || $(BIN)/python -m venv --without-pip $(SITE_VENV)
	@$(BIN)/uv pip install --quiet --python $(SITE_VENV)/bin/python -r tests/site/requirements.txt
	@touch $@

.PHONY: site
site: $(SITE_VENV)/.ready ## Build the site of all documents into .cache/site (antsibull-docs, Sphinx; a warning is an error)
	@echo '==> The site'
	@$(SITE_VENV)/bin/python tests/site/build.py $(SITE)

.PHONY: samples
samples: $(LOCAL_AWS_TESTABLE) ## Run the modules' examples, and write what they returned into the documentation, where it is unlike (all: ARGS=--all)
	@MLFLOW_AWS_SOFTWARE=$(LOCAL_AWS_HOME) $(BIN)/python tests/tools/return_samples.py $(ARGS)

.PHONY: docs
docs: ## generate, then site
	@$(MAKE) --no-print-directory generate
	@$(MAKE) --no-print-directory site
	@echo '==> $(SITE)/html/index.html'

.PHONY: links
links: $(READY) ## Ask for every address elsewhere that a page links to (needs the internet; all other links are checked by make units)
	@$(BIN)/python tests/tools/links.py --external

.PHONY: screenshots
screenshots: $(LOCAL_AWS_TESTABLE) $(BROWSER)/.ready ## Take the pictures in docs/images of a rehearsed deployment (needs a chromium)
	@MLFLOW_AWS_SOFTWARE=$(LOCAL_AWS_HOME) PYTHONPATH=$(BROWSER) SCREENSHOTS=$(ROOT)/docs/images \
		$(BIN)/python -m pytest -q $(ARGS) tests/browser/test_pictures.py

.PHONY: policies
policies: $(READY) ## IAM policies of who deploys, validates, destroys, into .cache/policies: NAME=… ACCOUNT=… REGION=…
	@$(PLAYBOOK) mlops.mlflow_aws.policies -e '{"mlflow_name": "$(NAME)", "mlflow_policies_account": "$(ACCOUNT)", "mlflow_policies_region": "$(REGION)", "mlflow_policies_path": "$(CACHE)/policies"}' $(ARGS)

.PHONY: troubleshooting
troubleshooting: $(LOCAL_AWS_PYTHON) ## Let all go wrong on a local AWS, and write what is said into docs/troubleshooting.md
	@WRITE_TROUBLESHOOTING=1 MLFLOW_AWS_SOFTWARE=$(LOCAL_AWS_HOME) $(BIN)/python -m pytest -q $(EXPLANATIONS)

.PHONY: lock
lock: $(READY) ## Resolve requirements-dev.in anew into requirements-dev.txt
	@$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --no-annotate --no-header requirements-dev.in --output-file requirements-dev.txt
	@$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --no-annotate --no-header tests/versions/requirements.in \
		--output-file tests/versions/requirements.txt

.PHONY: release
release: $(READY) ## Make a release, as far as that goes without a network: make release VERSION=1.2.3
	@$(BIN)/python tests/tools/release.py prepare '$(VERSION)' $(CACHE)/release

.PHONY: released
released: $(READY) ## Whether this commit is the release that its tag says: make released VERSION=1.2.3
	@$(BIN)/python tests/tools/release.py released '$(VERSION)' $(CACHE)/release

.PHONY: clean
clean: ## Stop the local AWS and remove .venv and .cache
	@if [ -x $(LOCAL_AWS_PYTHON) ]; then $(MAKE) --no-print-directory rehearse-wipe; fi
	@rm -rf $(VENV) $(CACHE)
