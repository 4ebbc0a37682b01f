# `make help` lists the targets. One compiled profile serves demo and tests.
.DEFAULT_GOAL := help
SHELL := bash

# The demo pretends it is the noon after the last sample night, whenever it is run.
DEMO_NOW := 2026-11-21T12:00:00+08:00
PROGRAM  := target/debug/coupon-recon
VENV     := .venv

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

build: ## Compile
	cargo build --locked

demo: build ## Run three nights of the sample merchant against the embedded simulator
	@chmod 600 sample-data/secrets/*
	$(PROGRAM) --now $(DEMO_NOW) simulate sample-data --listen 127.0.0.1:0 -- \
	  $(PROGRAM) --now $(DEMO_NOW) run sample-data/job.toml --from 2026-11-18 --to 2026-11-20 \
	  --base-url '{base_url}' --summary

test: test-rust test-readers ## Every test that needs Rust and Python 3 only

test-rust: ## Unit and integration tests
	@chmod 600 sample-data/secrets/*
	cargo test --locked

test-readers: $(VENV)/.ready ## The lake opens in pandas, Polars, DuckDB and pyarrow; DuckDB judges every rule alike
	rm -rf out/readers && $(MAKE) --no-print-directory build
	mkdir -p out/readers/sample && cp -a sample-data out/readers/sample/merchant
	for seed in 7 31; do $(PROGRAM) generate out/readers/$$seed/merchant --users 60 --seed $$seed >/dev/null || exit; done
	chmod 600 out/readers/*/merchant/secrets/*
	for shop in sample 7 31; do \
	  $(PROGRAM) --now $(DEMO_NOW) simulate out/readers/$$shop/merchant --listen 127.0.0.1:0 -- \
	    $(PROGRAM) --now $(DEMO_NOW) run out/readers/$$shop/merchant/job.toml --from 2026-11-18 --to 2026-11-20 \
	    --base-url '{base_url}' >/dev/null || exit; \
	  $(VENV)/bin/python tests/readers/second_opinion.py out/readers/$$shop/merchant/job.toml || exit; \
	done
	$(VENV)/bin/python tests/readers/check.py out/readers/7/out/lake

$(VENV)/.ready: tests/readers/requirements.txt
	python3 -m venv $(VENV) && $(VENV)/bin/pip install --quiet --requirement $< && touch $@

lint: ## Formatting, clippy, documentation
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items

clean-out: ## Remove what demo and tests have written
	rm -rf out

.PHONY: help build demo test test-rust test-readers lint clean-out
