# One command for each thing one does here. `make` alone lists them.
# Every target brings its own environment: tools/env.py makes .venv from the locks, or sees in milliseconds that it stands.

# Knobs for the command behind a target: make demo ARGS="--machines 200", make test ARGS="-k spool".
ARGS ?=
PYTHON ?=
export PYTHON

ENV := tools/python -m tools.env
BIN := .venv/bin
CODE := $(wildcard src tests tools bench)

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench soak env lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: ## a control center over a virtual mine of 1,000 machines; prints the address to open
	@$(ENV) demo
	@exec $(BIN)/redoubt demo $(ARGS)

test: ## all tests but the soak
	@$(ENV) dev
	@REDOUBT_CHROMIUM="$$(tools/python -m tools.browser)" && export REDOUBT_CHROMIUM && \
	  $(BIN)/python -m pytest -n 2 --dist loadgroup -m "not soak" $(ARGS)

check: ## format, lint, types and the one direction of imports
	@$(ENV) dev
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff check --config tools/pure-rooms.toml src
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports

format: ## lay the code out and mend what the linter can
	@$(ENV) dev
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

bench: ## the figures, against the peers they are stated for
	@$(ENV) bench
	@$(BIN)/python -m bench $(ARGS)

soak: ## the long tests: faults at many random moments
	@$(ENV) dev
	@REDOUBT_CHROMIUM="$$(tools/python -m tools.browser)" && export REDOUBT_CHROMIUM && \
	  $(BIN)/python -m pytest -m soak --timeout 0 $(ARGS)

env: ## the development environment in .venv, and nothing else
	@$(ENV) dev

lock: ## write requirements/*.lock anew; ARGS=--upgrade takes newer versions
	@tools/python -m tools.lock $(ARGS)

clean: ## remove everything that make has made
	rm -rf .uv .venv node_modules dist src/redoubt/center/static/vendor
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
