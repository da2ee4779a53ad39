# Everything a person does with the project; `make` alone lists it. `opsledger` (in .venv/bin) is behind most of it.
#   port=4570   another port for the local stack        stage=prod   another stage for deploy, logs, status
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help env up down demo test lint types openapi package deploy logs status lock clean

bin := .venv/bin
opsledger := $(bin)/opsledger
stage ?=
stage_option := $(if $(stage),--stage $(stage))
compile = $$(PATH="$$PATH:.local/uv/bin" command -v uv) pip compile -q --universal --generate-hashes --no-emit-index-url \
	--no-annotate --python-version 3.11 --custom-compile-command "make lock" $(if $(upgrade),--upgrade)

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

env:
	@sh ops/bootstrap.sh

up: env ## start the local stack, deploy the template to it, make the first admin (port=4570)
	@$(opsledger) up $(if $(port),--port $(port))

down: env ## stop the local stack; its data stays (wipe=1 deletes it)
	@$(opsledger) down $(if $(wipe),--wipe)

demo: env ## send real-shaped AWS events and show what becomes of them
	@$(opsledger) demo

test: lint types ## everything CI runs: lint, types, import rules, template, tests with coverage
	@$(bin)/cfn-lint infra/template.yaml docs/account-role.yaml
	@$(bin)/pytest --cov

lint: env ## ruff: rules and format
	@$(bin)/ruff check
	@$(bin)/ruff format --check

types: env ## mypy --strict, and the direction of imports
	@$(bin)/mypy
	@$(bin)/lint-imports

openapi: env ## renew docs/openapi.json, the API's document, from the code
	@$(opsledger) openapi

package: env ## build the artifact that is deployed
	@$(opsledger) package

deploy: env ## deploy to the AWS that the environment points at, change set first (stage=dev)
	@$(opsledger) deploy --stage $(or $(stage),dev) $(if $(yes),--yes)

logs: env ## follow the functions' logs (stage=dev)
	@$(opsledger) logs --follow $(stage_option)

status: env ## what runs, where, under which names (stage=dev)
	@$(opsledger) status $(stage_option)

lock: env ## renew requirements/*.txt from requirements/*.in (upgrade=1 takes newer versions)
	@for name in runtime emulator dev; do $(compile) requirements/$$name.in -o requirements/$$name.txt || exit 1; done

clean: ## delete caches and built artifacts; environments and local data stay
	@rm -rf .local/build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov build *.egg-info
	@find . -name __pycache__ -type d -not -path './.venv/*' -not -path './.local/*' -prune -exec rm -rf {} +
