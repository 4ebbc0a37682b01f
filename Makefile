# `make help` lists the targets. One compiled profile serves demo and tests.
.DEFAULT_GOAL := help
SHELL := bash

# The demo pretends it is the noon after the last sample night, whenever it is run.
DEMO_NOW := 2026-11-21T12:00:00+08:00
PROGRAM  := target/debug/coupon-recon
VENV     := .venv
PEERS    := .venv-peers

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

build: ## Compile
	cargo build --locked

demo: build ## Run three nights of the sample merchant against the embedded simulator
	@chmod 600 sample-data/secrets/*
	$(PROGRAM) --now $(DEMO_NOW) simulate sample-data --listen 127.0.0.1:0 -- \
	  $(PROGRAM) --now $(DEMO_NOW) run sample-data/job.toml --from 2026-11-18 --to 2026-11-20 \
	  --base-url '{base_url}' --summary

test: test-rust test-readers test-requests ## Every test that needs Rust and Python 3 only

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
	$(PROGRAM) --now $(DEMO_NOW) simulate out/readers/7/merchant --listen 127.0.0.1:0 -- \
	  $(VENV)/bin/python tests/readers/while_publishing.py $(PROGRAM) $(DEMO_NOW) out/readers/7/merchant/job.toml '{base_url}'

torture: ## Kills at every commit point and at random moments, a soak with faults; TORTURE_KILLS, SOAK_REQUESTS
	@chmod 600 sample-data/secrets/*
	cargo test --locked --test torture

test-all: test test-peers ## test and test-peers

test-requests: $(PEERS)/.cryptography ## Python's cryptography verifies what we sign
	cargo build --locked --bin coupon-recon --example signed_requests
	@mkdir -p out/peers && rm -rf out/peers/merchant
	$(PROGRAM) generate out/peers/merchant --users 60 --seed 7 >/dev/null
	$(PEERS)/bin/python tests/peers/verify_requests.py target/debug/examples/signed_requests out/peers/merchant 600

test-peers: build $(PEERS)/.sdks tests/peers/node/node_modules/.ready ## SDKs of others talk to the simulator
	@mkdir -p out/peers && rm -rf out/peers/merchant
	$(PROGRAM) generate out/peers/merchant --users 60 --seed 7 >/dev/null
	$(PROGRAM) simulate out/peers/merchant --listen 127.0.0.1:0 --world-now $(DEMO_NOW) -- \
	  $(PEERS)/bin/python tests/peers/python_sdks.py out/peers/merchant '{base_url}'
	$(PROGRAM) simulate out/peers/merchant --listen 127.0.0.1:0 --world-now $(DEMO_NOW) -- \
	  node tests/peers/node/talk.js out/peers/merchant '{base_url}'

$(PEERS)/.cryptography: tests/peers/requirements.txt
	python3 -m venv $(PEERS) && $(PEERS)/bin/pip install --quiet $$(grep '^cryptography==' $<) && touch $@

$(PEERS)/.sdks: tests/peers/requirements.txt $(PEERS)/.cryptography
	$(PEERS)/bin/pip install --quiet --requirement $< && touch $@

tests/peers/node/node_modules/.ready: tests/peers/node/package-lock.json
	cd tests/peers/node && npm ci --silent --ignore-scripts && touch node_modules/.ready

$(VENV)/.ready: tests/readers/requirements.txt
	python3 -m venv $(VENV) && $(VENV)/bin/pip install --quiet --requirement $< && touch $@

lint: ## Formatting, clippy, documentation
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items

clean-out: ## Remove what demo and tests have written
	rm -rf out

.PHONY: help build demo test torture test-all test-rust test-readers test-requests test-peers lint clean-out
