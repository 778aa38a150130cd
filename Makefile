# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
# Everything that is needed besides Python (3.11 to 3.14: the newest on the PATH, or PYTHON=…) and make is brought into .venv and .cache below
# this folder. Its path may have spaces in it, so make knows relative paths alone; recipes quote "$$MLFLOW_AWS_CHECKOUT", which is absolute.
PYTHON ?=
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export MLFLOW_AWS_CHECKOUT := $(CURDIR)
VENV := .venv
CACHE := .cache
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SITE_PACKAGES := $(VENV)/lib/python3.*/site-packages
LOCAL_AWS_HOME := $(CACHE)/local_aws
LOCAL_AWS_VENV := $(LOCAL_AWS_HOME)/venv
LOCAL_AWS_PYTHON := $(LOCAL_AWS_VENV)/bin/python
LOCAL_AWS_REQUIREMENTS := local_aws/requirements.txt
LOCAL_AWS_TEST_REQUIREMENTS := local_aws/tests/requirements.txt
# The stamp by which the role local_aws knows that there is nothing to install: the SHA-256 of its requirements without the last newline.
LOCAL_AWS_INSTALLED = $(LOCAL_AWS_VENV)/.installed-$(firstword $(shell printf %s "$$(cat $(LOCAL_AWS_REQUIREMENTS))" | sha256sum))
LOCAL_AWS_TESTABLE := $(LOCAL_AWS_VENV)/.testable

export PATH := $(CURDIR)/$(BIN):$(PATH)
export UV_CACHE_DIR ?= $(CURDIR)/$(CACHE)/uv
export PIP_CACHE_DIR ?= $(CURDIR)/$(CACHE)/pip
export ANSIBLE_HOME := $(CURDIR)/$(CACHE)/ansible
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export ANSIBLE_LOCAL_TEMP := $(ANSIBLE_HOME)/tmp
export ANSIBLE_ASYNC_DIR := $(ANSIBLE_HOME)/async
# Ansible gives this path to a shell without quotes (plugins/shell: mkdtemp); where that would not do, its own default, below the home, is left.
ifeq (,$(shell bash tests/tools/setup.sh odd))
export ANSIBLE_REMOTE_TEMP := $(ANSIBLE_HOME)/tmp
endif
export PYTHONDONTWRITEBYTECODE := 1

PLAYBOOK = mkdir -p $(CACHE)/tmp && TMPDIR="$$MLFLOW_AWS_CHECKOUT/$(CACHE)/tmp" $(BIN)/ansible-playbook
# ARGS="-e mlflow_version=3.10.0" and the like go to ansible-playbook as they are.
ARGS ?=
VERSION ?=
CHECKOUT_IN_PLAYBOOKS := {{ lookup(\"ansible.builtin.env\", \"MLFLOW_AWS_CHECKOUT\") }}
REHEARSAL = -e '{"local_aws_home": "$(CHECKOUT_IN_PLAYBOOKS)/$(LOCAL_AWS_HOME)", "local_aws_stop_hint": "make rehearse-down", "mlflow_login_hint": "make rehearse-login"}' $(ARGS)

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

$(READY): requirements-dev.txt tests/tools/collections.txt $(shell PYTHON='$(PYTHON)' bash tests/tools/setup.sh stale)
	@PYTHON='$(PYTHON)' bash tests/tools/setup.sh

.PHONY: FORCE
FORCE:

# ---- rehearsal ------------------------------------------------------------------------------------------------------
# The role local_aws would install its software too, with pip; uv takes a tenth of the time.
.PHONY: rehearse
rehearse: $(LOCAL_AWS_INSTALLED) ## Local AWS up, MLflow deployed on it and validated; again: a converge
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse $(REHEARSAL)

.PHONY: rehearse-up
rehearse-up: $(LOCAL_AWS_INSTALLED) ## Only start the local AWS
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_up $(REHEARSAL)

.PHONY: rehearse-check
rehearse-check: $(LOCAL_AWS_INSTALLED) ## Say what make rehearse would change (ansible-playbook --check --diff)
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse $(REHEARSAL) --check --diff

.PHONY: rehearse-login
rehearse-login: $(LOCAL_AWS_INSTALLED) ## Show the user and the password of the rehearsed deployment
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_login $(REHEARSAL)

.PHONY: rehearse-status
rehearse-status: $(LOCAL_AWS_INSTALLED) ## Show the state of the rehearsed deployment
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_status $(REHEARSAL)

.PHONY: rehearse-plan
rehearse-plan: $(READY) ## Show what make rehearse would change at AWS, attribute by attribute, with duration, downtime and cost
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_plan $(REHEARSAL)

.PHONY: rehearse-backup
rehearse-backup: $(LOCAL_AWS_INSTALLED) ## Back up the rehearsed deployment
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_backup $(REHEARSAL)

.PHONY: rehearse-backups
rehearse-backups: $(LOCAL_AWS_INSTALLED) ## List the backups of the rehearsed deployment
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_backups $(REHEARSAL)

.PHONY: rehearse-restore
rehearse-restore: $(LOCAL_AWS_INSTALLED) ## Restore the rehearsed deployment: ARGS="-e mlflow_restore_backup=NAME"
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_restore $(REHEARSAL)

.PHONY: rehearse-drill
rehearse-drill: $(LOCAL_AWS_INSTALLED) ## Prove that the newest backup of the rehearsed deployment can be restored
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_drill $(REHEARSAL)

.PHONY: rehearse-gc
rehearse-gc: $(LOCAL_AWS_INSTALLED) ## List what users of the rehearsed deployment have deleted; for good: ARGS="-e mlflow_gc_delete=true"
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_gc $(REHEARSAL)

.PHONY: rehearse-rotate-database-password
rehearse-rotate-database-password: $(LOCAL_AWS_INSTALLED) ## Change the password of the rehearsed deployment's database; deploy first with ARGS="-e mlflow_db_alternating_logins=true"
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_rotate_database_password $(REHEARSAL)

.PHONY: rehearse-rotate-database-master-password
rehearse-rotate-database-master-password: $(LOCAL_AWS_INSTALLED) ## Change the password of its master user, in the same way
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_rotate_database_master_password $(REHEARSAL)

.PHONY: rehearse-upgrade
rehearse-upgrade: $(LOCAL_AWS_INSTALLED) ## Upgrade the rehearsed deployment: ARGS="-e mlflow_version=3.17.2"
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_upgrade $(REHEARSAL)

.PHONY: rehearse-rollback
rehearse-rollback: $(LOCAL_AWS_INSTALLED) ## Say what taking the upgrade back would lose: ARGS="-e mlflow_rollback_confirm=true" does it
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_rollback $(REHEARSAL)

.PHONY: rehearse-stop
rehearse-stop: $(LOCAL_AWS_INSTALLED) ## Stop the rehearsed deployment, as the stop playbook does at AWS
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_stop $(REHEARSAL)

.PHONY: rehearse-start
rehearse-start: $(LOCAL_AWS_INSTALLED) ## Start the rehearsed deployment again
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_start $(REHEARSAL)

.PHONY: rehearse-destroy
rehearse-destroy: $(LOCAL_AWS_INSTALLED) ## Destroy the rehearsed deployment, as the destroy playbook does at AWS
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_destroy $(REHEARSAL)

.PHONY: rehearse-down
rehearse-down: $(LOCAL_AWS_INSTALLED) ## Stop the local AWS and all that runs on it (its data stay in .cache)
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_down $(REHEARSAL)

.PHONY: rehearse-wipe
rehearse-wipe: $(LOCAL_AWS_INSTALLED) ## Stop the local AWS and delete its data
	@$(PLAYBOOK) mlops.mlflow_aws.rehearse_down $(REHEARSAL) -e local_aws_wipe=true

# ---- checks ---------------------------------------------------------------------------------------------------------
# ansible-test wants the collection inside a tree called ansible_collections, with its dependencies beside it, and lists its
# files with git. Its caches go below .cache, as everything does.
SITE := $(CACHE)/site
SITE_VENV := $(CACHE)/site-venv
TREE_ROOT := $(CACHE)/tree
TREE := $(TREE_ROOT)/ansible_collections
ANSIBLE_TEST_HOME := $(CACHE)/ansible-test
ANSIBLE_TEST = cd $(TREE)/mlops/mlflow_aws && HOME="$$MLFLOW_AWS_CHECKOUT/$(ANSIBLE_TEST_HOME)" "$$MLFLOW_AWS_CHECKOUT/$(BIN)/ansible-test"

# What is cheap first. What is dear mostly waits, so three rows of it stand side by side; all that uses .cache/tree is in one of them.
# What each part took is shown at the end, whichever way it ends. What is dear is left out once something cheap has failed, unless with make -k.
.PHONY: test
test: $(LOCAL_AWS_TESTABLE) ## All checks (but for the long ones: make nightly), and what each of them costs
	@rm -rf $(PARTS)
	@trap '$(BIN)/python tests/tools/measure.py table $(PARTS)' EXIT; failed=0; \
		$(MAKE) --no-print-directory --jobs=2 --output-sync=line test-files test-galaxy || failed=1; \
		[ $$failed = 0 ] || $(if $(findstring k,$(firstword -$(MAKEFLAGS))),true,exit 1); \
		$(MAKE) --no-print-directory --jobs=3 --output-sync=line test-package test-local-aws test-end-to-end || failed=1; \
		exit $$failed
	@echo '==> All checks passed'

ifdef IN_TURN
.NOTPARALLEL:
endif

# $(call part,NAME,ARGUMENTS): a target as a part of make test. What another part has made is not made again.
PARTS := $(CACHE)/parts
part = $(BIN)/python tests/tools/measure.py run $(PARTS) $(1) $(MAKE) --no-print-directory IN_TURN=yes $(1) $(2)

.PHONY: test-files
test-files:
	@+$(call part,lint)
	@+$(call part,units)

.PHONY: test-galaxy
test-galaxy:
	@+$(call part,types)
	@+$(call part,artifact,TREE_MADE=yes)
	@+$(call part,importer,ARTIFACT_MADE=yes)
	@+$(call part,docs-lint,TREE_MADE=yes)

.PHONY: test-package
test-package:
	@+$(call part,sanity,TREE_MADE=yes)
	@+$(call part,site)
	@+$(call part,versions,ARTIFACT_MADE=yes)
	@+$(call part,ansible-test-units,TREE_MADE=yes)

.PHONY: test-local-aws
test-local-aws:
	@+$(call part,local-aws-units,ARGS='-m "not long"')
	@+$(call part,readers,ARGS='-m "not long"')
	@+$(call part,molecule,MOLECULE='--scenario-name deployment --scenario-name drift')

.PHONY: test-end-to-end
test-end-to-end:
	@+$(call part,end-to-end,ARGS='-m "not long"')

.PHONY: nightly
nightly: ## The end-to-end tests and scenarios whole, with all that make test leaves out to take half an hour at most
	@$(MAKE) --no-print-directory local-aws-units ARGS='-m long'
	@$(MAKE) --no-print-directory end-to-end
	@$(MAKE) --no-print-directory readers
	@MLFLOW_AWS_MOLECULE_SIZE=default $(MAKE) --no-print-directory molecule

# Under a minute on two cores, warm. The rest of the units: make units.
QUICK_UNITS := tests/unit/plugins/filter $(addprefix tests/unit/test_,conformance.py release.py support.py) \
	$(addprefix tests/unit/plugins/module_utils/test_,$(addprefix ecs_express_,compare.py compare_properties.py transformations.py) versions.py)
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
lint-files: $(READY) ## ruff, layers, dead code, the field's words, lengths, roles' variables, subjects of commits, yamllint, licences (REUSE), workflow files, changelog, generated pages
	@echo '==> ruff'
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@echo '==> Layers of the plugins (import-linter)'
	@$(BIN)/lint-imports --no-logo --no-cache .importlinter >$(CACHE)/layers.txt || { cat $(CACHE)/layers.txt; exit 1; }
	@echo '==> Layers of the local AWS, and its one importer of ministack'
	@cd local_aws && PYTHONPATH=. "$$MLFLOW_AWS_CHECKOUT/$(BIN)/lint-imports" --no-logo --no-cache pyproject.toml >../$(CACHE)/layers.txt || { cat ../$(CACHE)/layers.txt; exit 1; }
	@echo '==> Dead code (vulture)'
	@$(BIN)/python tests/tools/house.py unused
	@echo "==> The field's words"
	@$(BIN)/python tests/tools/house.py words
	@echo '==> Lengths of files, classes and functions'
	@$(BIN)/python tests/tools/house.py lengths
	@echo '==> No variable of the role mlflow in other roles and in module_utils'
	@$(BIN)/python tests/tools/house.py variables
	@echo '==> Subjects of commits (gitlint)'
	@bash tests/tools/commits.sh
	@echo '==> yamllint'
	@$(BIN)/yamllint --strict .
	@echo '==> Licences (REUSE)'
	@$(BIN)/reuse lint --lines
	@echo '==> Workflow files'
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/zizmor --quiet --offline --min-severity medium .github
	@$(BIN)/shellcheck .ci/run $$(git ls-files --cached --others --exclude-standard "*.sh")
	@echo '==> antsibull-changelog'
	@$(BIN)/antsibull-changelog lint
	@echo '==> docs/variables.md, specifications and defaults agree'
	@$(BIN)/python tests/tools/variables_table.py --check
	@echo '==> docs/local-aws.md and coverage.toml agree'
	@$(BIN)/python tests/tools/coverage_table.py --check
	@echo '==> The picture of the dashboard and the dashboard agree'
	@$(BIN)/python tests/tools/dashboard_picture.py --check
	@echo '==> Module pages and the modules agree'
	@$(BIN)/python tests/tools/module_pages.py --check

.PHONY: lint-ansible
lint-ansible: $(READY) ## ansible-lint, profile production and the opt-in rules of .ansible-lint
	@echo '==> ansible-lint'
	@$(BIN)/ansible-lint --offline --strict -q

MYPY = "$$MLFLOW_AWS_CHECKOUT/$(BIN)/mypy" --config-file "$$MLFLOW_AWS_CHECKOUT/pyproject.toml" --cache-dir "$$MLFLOW_AWS_CHECKOUT/$(CACHE)/mypy"
# What lies in one folder imports each other by bare names, so each folder is a run of its own.
TYPED_TESTS := $(addprefix tests/,tools bench artifact docs end_to_end versions unit unit/docs unit/roles) \
	$(addprefix tests/unit/plugins/,action filter module_utils modules plugin_utils)
.PHONY: types
types: tree $(LOCAL_AWS_INSTALLED) ## mypy, strict, on the plugins and on the local AWS; on the tests as well
	@echo '==> mypy'
	@cd $(TREE_ROOT) && $(MYPY) --namespace-packages --explicit-package-bases \
		ansible_collections/mlops/mlflow_aws/plugins/module_utils ansible_collections/mlops/mlflow_aws/plugins/plugin_utils \
		ansible_collections/mlops/mlflow_aws/plugins/filter ansible_collections/mlops/mlflow_aws/plugins/modules \
		ansible_collections/mlops/mlflow_aws/plugins/action
	@for folder in $(TYPED_TESTS); do MYPYPATH=tests/tools:tests/end_to_end:tests/bench:$$folder $(BIN)/mypy --config-file tests/mypy.ini --cache-dir $(CACHE)/mypy-tests $$folder/*.py || exit; done
	@cd local_aws && $(MYPY) --python-executable "$$MLFLOW_AWS_CHECKOUT/$(LOCAL_AWS_PYTHON)" local_aws

.PHONY: units
units: $(READY) ## Unit tests of the plugins (pytest)
	@echo '==> Unit tests of the plugins'
	@$(BIN)/python -m pytest -q -n 2 tests/unit

# With the bytecode, as pip would install it: else each of the about fifty daemons that the tests start compiles it anew, for over a second of CPU.
$(LOCAL_AWS_INSTALLED): | $(READY)
	@echo '==> Setting up the local AWS (the first time, about 150 MB are downloaded)'
	@mkdir -p $(LOCAL_AWS_HOME)
	@test -x $(LOCAL_AWS_PYTHON) || $(BIN)/uv venv --quiet --no-project --allow-existing --python "$$($(BIN)/python -c 'import os, sys; print(os.path.realpath(sys._base_executable))')" $(LOCAL_AWS_VENV)
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(LOCAL_AWS_PYTHON) --require-hashes -r $(LOCAL_AWS_REQUIREMENTS)
	@touch $@

$(LOCAL_AWS_TESTABLE): $(LOCAL_AWS_INSTALLED) $(LOCAL_AWS_TEST_REQUIREMENTS)
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(LOCAL_AWS_PYTHON) --require-hashes -r $(LOCAL_AWS_TEST_REQUIREMENTS)
	@touch $@

.PHONY: local-aws-units
local-aws-units: $(LOCAL_AWS_TESTABLE) ## Tests of the local AWS through boto3 (pytest, in its own environment)
	@echo '==> Tests of the local AWS'
	@LOCAL_AWS_RUNTIMES="$$MLFLOW_AWS_CHECKOUT/$(LOCAL_AWS_HOME)/runtimes" $(LOCAL_AWS_PYTHON) -m pytest -q -n 4 --dist loadfile $(ARGS) local_aws/tests

.PHONY: end-to-end
end-to-end: $(LOCAL_AWS_TESTABLE) ## Bad input and failure, as a user meets them (pytest, on a local AWS of its own)
	@echo '==> Bad input and failure, end to end'
	@MLFLOW_AWS_SOFTWARE="$$MLFLOW_AWS_CHECKOUT/$(LOCAL_AWS_HOME)" $(BIN)/python -m pytest -q -n 3 --dist loadgroup --durations=12 $(ARGS) tests/end_to_end

.PHONY: readers
readers: $(LOCAL_AWS_TESTABLE) ## Every block of the documentation; execution environment, navigator, AWX, credentials in every way
	@echo '==> What the documentation says is done'
	@MLFLOW_AWS_SOFTWARE="$$MLFLOW_AWS_CHECKOUT/$(LOCAL_AWS_HOME)" $(BIN)/python -m pytest -q $(ARGS) tests/docs

BROWSER := $(CACHE)/browser
$(BROWSER)/.ready: tests/browser/requirements.txt | $(READY)
	@echo '==> What drives a browser (45 MB are downloaded)'
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --target $(BROWSER) --require-hashes -r tests/browser/requirements.txt
	@touch $@

.PHONY: browser
browser: $(LOCAL_AWS_TESTABLE) $(BROWSER)/.ready ## MLflow's pages in a real Chromium, with each login (needs a chromium, so it is not part of make test)
	@echo '==> A real browser; pictures go to .cache/screenshots'
	@MLFLOW_AWS_SOFTWARE="$$MLFLOW_AWS_CHECKOUT/$(LOCAL_AWS_HOME)" PYTHONPATH="$$MLFLOW_AWS_CHECKOUT/$(BROWSER)" SCREENSHOTS="$$MLFLOW_AWS_CHECKOUT/$(CACHE)/screenshots" \
		$(BIN)/python -m pytest -q $(ARGS) tests/browser/test_browser.py

# A part of make test that comes after one which has made them says so.
TREE_MADE ?=
ARTIFACT_MADE ?=
.PHONY: tree
tree: $(READY)
	@$(if $(TREE_MADE),,$(MAKE) --no-print-directory make-tree)

.PHONY: make-tree
make-tree:
	@rm -rf $(TREE)
	@mkdir -p $(TREE)/mlops/mlflow_aws $(TREE)/amazon $(ANSIBLE_TEST_HOME)/.ansible/test/cache
	@git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do if [ -e "$$f" ]; then printf '%s\0' "$$f"; fi; done \
		| xargs -0 cp --parents -t $(TREE)/mlops/mlflow_aws
	@ln -s "$$(cd $(SITE_PACKAGES) && pwd -P)/ansible_collections/amazon/aws" $(TREE)/amazon/aws
	@git -C $(TREE)/mlops/mlflow_aws init --quiet
	@git -C $(TREE)/mlops/mlflow_aws add --all
	@cp tests/tools/get_pip.py $(ANSIBLE_TEST_HOME)/.ansible/test/cache/get_pip_24_2.py

# The other end of what is supported: the newest Python, ansible-core and amazon.aws, with the oldest boto3. What runs in .venv is the one end.
VERSIONS := $(CACHE)/versions
OTHER_AMAZON_AWS := $(VERSIONS)/collections/ansible_collections/amazon/aws
$(VERSIONS)/.collections: tests/versions/collections.txt | $(READY)
	@echo '==> The newest supported version of amazon.aws (60 MB are downloaded)'
	@rm -rf $(VERSIONS)/wheels $(VERSIONS)/collections && mkdir -p $(VERSIONS)/wheels
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps --python-version 3.13 --only-binary=:all: \
		--require-hashes -r tests/versions/collections.txt -d $(VERSIONS)/wheels
	@$(BIN)/python tests/tools/unpack.py $(VERSIONS)/wheels/*.whl $(VERSIONS)/collections amazon/aws
	@rm -r $(VERSIONS)/wheels
	@touch $@

# Not with antsibull-nox: it installs its tools unpinned for each session, and its sessions of ansible-test want Docker or Podman
# (https://docs.ansible.com/projects/antsibull-nox/troubleshooting/), which nothing here does.
PYTHON_IN_USE = "$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
.PHONY: sanity
sanity: tree ## ansible-test sanity
	@echo '==> ansible-test sanity (the first time, its tools are brought from PyPI)'
	@python=$(PYTHON_IN_USE) && $(ANSIBLE_TEST) sanity --venv --python "$$python" --color no

.PHONY: docs-lint
docs-lint: tree $(SITE_VENV)/.ready ## antsibull-docs: every reference in the documentation of plugins leads somewhere
	@echo '==> antsibull-docs'
	@cd $(TREE)/mlops/mlflow_aws && ANSIBLE_COLLECTIONS_PATH="$$MLFLOW_AWS_CHECKOUT/$(TREE_ROOT)" ANSIBLE_COLLECTIONS_SCAN_SYS_PATH=no PATH="$$MLFLOW_AWS_CHECKOUT/$(SITE_VENV)/bin:$$PATH" antsibull-docs \
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
	@MLFLOW_AWS_TARBALL="$$MLFLOW_AWS_CHECKOUT/$$(echo $(ARTIFACT)/*.tar.gz)" MLFLOW_AWS_INSTALLED="$$MLFLOW_AWS_CHECKOUT/$(ARTIFACT_INSTALLED)" \
		MLFLOW_AWS_TREE="$$MLFLOW_AWS_CHECKOUT/$(TREE)/mlops/mlflow_aws" \
		$(BIN)/python -m pytest -q tests/artifact

.PHONY: versions
versions: $(if $(ARTIFACT_MADE),,artifact) $(VERSIONS)/.collections $(LOCAL_AWS_TESTABLE) ## The installed tarball, rehearsed with the newest Python, ansible-core, amazon.aws and the oldest boto3
	@bash tests/versions/environment.sh $(VERSIONS)
	@MLFLOW_AWS_INSTALLED="$$MLFLOW_AWS_CHECKOUT/$(ARTIFACT_INSTALLED)" MLFLOW_AWS_VERSIONS="$$MLFLOW_AWS_CHECKOUT/$(VERSIONS)" \
		MLFLOW_AWS_SOFTWARE="$$MLFLOW_AWS_CHECKOUT/$(LOCAL_AWS_HOME)" $(BIN)/python -m pytest -q $(ARGS) tests/versions

IMPORTER := $(CACHE)/importer
$(IMPORTER)/.ready: tests/importer/requirements.txt | $(READY)
	@echo '==> What Galaxy imports with (10 MB are downloaded)'
	@mkdir -p $(IMPORTER)
	@test -x $(IMPORTER)/venv/bin/python || $(BIN)/python -m venv --without-pip $(IMPORTER)/venv
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(IMPORTER)/venv/bin/python --require-hashes -r tests/importer/requirements.txt
	@touch $@

.PHONY: importer
importer: $(if $(ARTIFACT_MADE),,artifact) $(IMPORTER)/.ready ## What Galaxy would say of the tarball (galaxy-importer, no warning)
	@echo '==> galaxy-importer'
	@$(IMPORTER)/venv/bin/python tests/importer/importer.py $(ARTIFACT)/*.tar.gz $(IMPORTER)/result

.PHONY: ansible-test-units
ansible-test-units: tree $(VERSIONS)/.collections ## ansible-test units of what depends on them, with the newest amazon.aws and the oldest boto3
	@echo '==> ansible-test units, with amazon.aws 11.4.0 and the oldest boto3'
	@ln -sfn "$$MLFLOW_AWS_CHECKOUT/$(OTHER_AMAZON_AWS)" $(TREE)/amazon/aws
	@python=$(PYTHON_IN_USE) && $(ANSIBLE_TEST) units --venv --python "$$python" --color no $$("$$MLFLOW_AWS_CHECKOUT/$(BIN)/python" tests/tools/aws_tests.py)

# One scenario: make molecule MOLECULE='--scenario-name drift'. What molecule keeps lies beside the local AWS of the scenarios.
MOLECULE := --all --workers 2
export MLFLOW_AWS_MOLECULE_HOME ?= $(CURDIR)/$(CACHE)/molecule
export MLFLOW_AWS_MOLECULE_SOFTWARE ?= $(CURDIR)/$(LOCAL_AWS_HOME)
.PHONY: molecule
molecule: $(READY) ## The scenarios: deploy, break, repair, validate, destroy (molecule)
	@echo '==> molecule'
	@MOLECULE_EPHEMERAL_DIRECTORY="$$MLFLOW_AWS_MOLECULE_HOME/ephemeral" $(BIN)/molecule test $(MOLECULE)

# ---- benchmarks and documents -----------------------------------------------------------------------------------------
# A part alone: make bench ARGS="--only terraform,converge". The rest of the page stays, with the run that measured it.
.PHONY: bench
bench: $(LOCAL_AWS_INSTALLED) ## Measure deployments, beside Terraform and plain amazon.aws; writes docs/benchmarks.md
	@$(BIN)/python tests/bench/bench.py --home "$$MLFLOW_AWS_CHECKOUT/$(CACHE)/bench" --software "$$MLFLOW_AWS_CHECKOUT/$(LOCAL_AWS_HOME)" \
		--results tests/bench/results.json --write docs/benchmarks.md $(ARGS)

.PHONY: canary
canary: $(LOCAL_AWS_TESTABLE) ## Measure which updates the rollback alarm takes back; writes docs/canary.md
	@MLFLOW_AWS_SOFTWARE="$$MLFLOW_AWS_CHECKOUT/$(LOCAL_AWS_HOME)" $(BIN)/python tests/bench/canary.py --write docs/canary.md

.PHONY: generate
generate: $(READY) ## Write docs/variables.md, docs/modules and docs/policies from specifications and plugins
	@$(BIN)/python tests/tools/variables_table.py
	@$(BIN)/python tests/tools/module_pages.py
	@$(BIN)/python tests/tools/coverage_table.py
	@$(BIN)/python tests/tools/dashboard_picture.py
	@$(PLAYBOOK) mlops.mlflow_aws.policies -e '{"mlflow_policies_path": "$(CHECKOUT_IN_PLAYBOOKS)/docs/policies"}' >/dev/null

$(SITE_VENV)/.ready: tests/site/requirements.txt | $(READY)
	@echo '==> What builds the site (30 MB are downloaded)'
	@test -x $(SITE_VENV)/bin/python || $(BIN)/python -m venv --without-pip $(SITE_VENV)
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(SITE_VENV)/bin/python --require-hashes -r tests/site/requirements.txt
	@touch $@

.PHONY: site
site: $(SITE_VENV)/.ready ## Build the site of all documents into .cache/site (antsibull-docs, Sphinx; a warning is an error)
	@echo '==> The site'
	@$(SITE_VENV)/bin/python tests/site/build.py $(SITE)

.PHONY: samples
samples: $(LOCAL_AWS_TESTABLE) ## Run the modules' examples, and write what they returned into the documentation, where it is unlike (all: ARGS=--all)
	@MLFLOW_AWS_SOFTWARE="$$MLFLOW_AWS_CHECKOUT/$(LOCAL_AWS_HOME)" $(BIN)/python tests/tools/return_samples.py $(ARGS)

.PHONY: docs
docs: ## generate, then site
	@$(MAKE) --no-print-directory generate
	@$(MAKE) --no-print-directory site
	@echo "==> $$MLFLOW_AWS_CHECKOUT/$(SITE)/html/index.html"

.PHONY: links
links: $(READY) ## Ask for every address elsewhere that a page links to (needs the internet; all other links are checked by make units)
	@$(BIN)/python tests/tools/links.py --external

.PHONY: screenshots
screenshots: $(LOCAL_AWS_TESTABLE) $(BROWSER)/.ready ## Take the pictures in docs/images of a rehearsed deployment (needs a chromium)
	@MLFLOW_AWS_SOFTWARE="$$MLFLOW_AWS_CHECKOUT/$(LOCAL_AWS_HOME)" PYTHONPATH="$$MLFLOW_AWS_CHECKOUT/$(BROWSER)" SCREENSHOTS="$$MLFLOW_AWS_CHECKOUT/docs/images" \
		$(BIN)/python -m pytest -q $(ARGS) tests/browser/test_pictures.py

.PHONY: policies
policies: $(READY) ## IAM policies of who deploys, validates, destroys, into .cache/policies: NAME=… ACCOUNT=… REGION=…
	@$(PLAYBOOK) mlops.mlflow_aws.policies -e '{"mlflow_name": "$(NAME)", "mlflow_policies_account": "$(ACCOUNT)", "mlflow_policies_region": "$(REGION)", "mlflow_policies_path": "$(CHECKOUT_IN_PLAYBOOKS)/$(CACHE)/policies"}' $(ARGS)

EXPLANATIONS := $(addprefix tests/end_to_end/test_,explain.py express_module.py express_adversity.py)
.PHONY: troubleshooting
troubleshooting: $(LOCAL_AWS_TESTABLE) ## Let all go wrong on a local AWS, and write what is said into docs/troubleshooting.md
	@WRITE_TROUBLESHOOTING=1 MLFLOW_AWS_SOFTWARE="$$MLFLOW_AWS_CHECKOUT/$(LOCAL_AWS_HOME)" $(BIN)/python -m pytest -q $(EXPLANATIONS)

LOCKED := files client
.PHONY: lock
lock: $(READY) ## Resolve anew, with hashes, what is installed: tools, tests, local AWS, MLflow's client (make lock LOCKED=hashes: no other versions)
	@for what in $(LOCKED); do $(BIN)/python tests/tools/lock.py $$what; done

.PHONY: release
release: $(READY) ## Make a release, as far as that goes without a network: make release VERSION=1.2.3
	@$(BIN)/python tests/tools/release.py prepare '$(VERSION)' $(CACHE)/release

.PHONY: checksum
checksum: ## Write the SHA-256 of the tarball that make artifact has built into .cache/artifact/SHA256SUMS
	@cd $(ARTIFACT) && sha256sum -- *.tar.gz | tee SHA256SUMS

.PHONY: released
released: $(READY) ## Whether this commit is the release that its tag says: make released VERSION=1.2.3
	@$(BIN)/python tests/tools/release.py released '$(VERSION)' $(CACHE)/release

.PHONY: clean
clean: ## Stop the local AWS and remove .venv and .cache
	@if [ -x $(LOCAL_AWS_PYTHON) ]; then $(MAKE) --no-print-directory rehearse-wipe; fi
	@rm -rf $(VENV) $(CACHE)
