# `make help` lists the targets. One compiled profile serves demo and tests.
.DEFAULT_GOAL := help
SHELL := bash

# The demo pretends it is the noon after the last sample night, whenever it is run.
DEMO_NOW := 2026-11-21T12:00:00+08:00
PROGRAM  := target/debug/coupon-recon
# Where the recipes look for what was compiled, whatever the environment or a configuration of cargo says.
export CARGO_TARGET_DIR := $(CURDIR)/target
VENV     := .venv
CONTRACTS := .venv-contracts
PEERS    := .venv-peers
STORE    := .venv-store
AIRFLOW  := .venv-airflow
WATCHING := .venv-watching
BENCH    := .venv-bench
DATACOMPY := .venv-datacompy
SAIL     := .venv-sail
COMMA    := ,
SPARK    := .venv-spark
PROTOC   := .venv-protoc
# A build with the Spark engine is kept beside the usual one.
ON_SPARK := target/debug/coupon-recon-spark
WITH_PROTOC = PROTOC=$(abspath $(PROTOC))/data/bin/protoc PROTOC_INCLUDE=$(abspath $(PROTOC))/data/include

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

build: ## Compile
	cargo build --locked

demo: build ## Run three nights of the sample merchant against the embedded simulator
	@chmod 600 sample-data/secrets/*
	$(PROGRAM) --now $(DEMO_NOW) simulate sample-data --listen 127.0.0.1:0 -- \
	  $(PROGRAM) --now $(DEMO_NOW) run sample-data/job.toml --from 2026-11-18 --to 2026-11-20 \
	  --base-url '{base_url}' --summary
	$(PROGRAM) breaks sample-data/job.toml --date 2026-11-20 --since 2026-11-18

test: test-rust test-readers test-contracts test-notebooks test-requests ## Every test that needs Rust and Python 3 only

test-rust: ## Unit and integration tests
	@chmod 600 sample-data/secrets/*
	cargo test --locked

lakes: build # Three lakes for others to read: the sample, and two made merchants
	rm -rf out/readers && mkdir -p out/readers/sample && cp -a sample-data out/readers/sample/merchant
	for seed in 7 31; do $(PROGRAM) generate out/readers/$$seed/merchant --users 60 --seed $$seed >/dev/null || exit; done
	chmod 600 out/readers/*/merchant/secrets/*
	sed -i 's/^language = .*/language = "en"/; s/^trailer = .*/trailer = false/; s/^on_bad_row = .*/on_bad_row = "quarantine"/' \
	  out/readers/31/merchant/job.toml
	for shop in sample 7 31; do \
	  $(PROGRAM) --now $(DEMO_NOW) simulate out/readers/$$shop/merchant --listen 127.0.0.1:0 -- \
	    $(PROGRAM) --now $(DEMO_NOW) run out/readers/$$shop/merchant/job.toml --from 2026-11-18 --to 2026-11-20 \
	    --base-url '{base_url}' >/dev/null || exit; \
	done

# More lakes for other engines; the look-back of one is so short that orders leave it.
engine-lakes: lakes
	for seed in 2 3 5; do $(PROGRAM) generate out/readers/$$seed/merchant --users 60 --seed $$seed >/dev/null || exit; done
	chmod 600 out/readers/*/merchant/secrets/*
	sed -i 's/^lookback_days = .*/lookback_days = 2/' out/readers/3/merchant/job.toml
	for shop in 2 3 5; do \
	  $(PROGRAM) --now $(DEMO_NOW) simulate out/readers/$$shop/merchant --listen 127.0.0.1:0 -- \
	    $(PROGRAM) --now $(DEMO_NOW) run out/readers/$$shop/merchant/job.toml --from 2026-11-18 --to 2026-11-20 \
	    --base-url '{base_url}' >/dev/null || exit; \
	done

ENGINE_JOBS := $(foreach shop,sample 7 31 2 3 5,out/readers/$(shop)/merchant/job.toml)

test-readers: $(VENV)/.ready engine-lakes ## The lake opens in pandas, Polars, DuckDB and pyarrow; two of them build every ledger and judge every rule alike
	for shop in sample 7 31; do \
	  $(VENV)/bin/python tests/readers/second_opinion.py out/readers/$$shop/merchant/job.toml || exit; \
	done
	for engine in duckdb polars; do $(VENV)/bin/python tests/engines/compare.py $$engine $(ENGINE_JOBS) || exit; done
	$(VENV)/bin/python tests/readers/check.py out/readers/7/out/lake
	$(VENV)/bin/python tests/readers/readme.py out/readers/sample/out/lake
	$(PROGRAM) --now $(DEMO_NOW) simulate out/readers/7/merchant --listen 127.0.0.1:0 -- \
	  $(VENV)/bin/python tests/readers/while_publishing.py $(PROGRAM) $(DEMO_NOW) out/readers/7/merchant/job.toml '{base_url}'

test-random-rules: build $(VENV)/.ready ## Random rules find what DuckDB finds, or are refused; SEEDS
	for seed in $(or $(SEEDS),1 2 3); do $(VENV)/bin/python tests/engines/random_rules.py $(PROGRAM) out/engines/random --seed $$seed || exit; done

test-sail: $(SAIL)/.ready $(STORE)/.ready engine-lakes build-spark ## Sail, asked as Spark is, builds every ledger and judges every rule alike, in the program too
	$(SAIL)/bin/python tests/engines/compare.py sail $(ENGINE_JOBS)
	$(call ENGINE_NIGHTS,sail,$(SAIL)/bin/python tests/engines/with_sail.py python3 tests/engines/nights.py)
	$(call ENGINE_NIGHTS,bucket,$(STORE)/bin/python tests/store/with_moto.py env AWS_ENDPOINT={endpoint} AWS_ALLOW_HTTP=true \
	  AWS_ACCESS_KEY_ID=cluster-key-id AWS_SECRET_ACCESS_KEY=the-keys-of-the-cluster AWS_REGION=us-east-1 \
	  $(SAIL)/bin/python tests/engines/with_sail.py $(STORE)/bin/python tests/engines/bucket.py) '{endpoint}' $(SAIL)/bin/python
	$(call ENGINE_NIGHTS,tls,$(SAIL)/bin/python tests/engines/with_sail.py $(SAIL)/bin/python tests/engines/tls.py)

# Three nights here and on a cluster: the same bytes. {remote} is the cluster's address.
ENGINE_NIGHTS = rm -rf out/engines/$(1)-nights && mkdir -p out/engines && \
	$(ON_SPARK) generate out/engines/$(1)-nights/merchant --users 60 --seed 7 >/dev/null && \
	chmod 600 out/engines/$(1)-nights/merchant/secrets/* && \
	$(ON_SPARK) --now $(DEMO_NOW) simulate out/engines/$(1)-nights/merchant --listen 127.0.0.1:0 -- \
	  $(2) $(ON_SPARK) out/engines/$(1)-nights/merchant '{base_url}' '$(or $(REMOTE),{remote})'

lint-spark: $(PROTOC)/.ready # Apart from lint, because it compiles the dependencies of the Spark client
	$(WITH_PROTOC) cargo clippy --locked --features spark --lib --bins --tests -- -D warnings

test-spark: $(SPARK)/.ready $(SAIL)/.ready lakes lint-spark build-spark ## A real Spark (Java 17; master, two workers, Connect server) publishes the same bytes, an executor killed on the way
	$(SPARK)/bin/python tests/engines/cluster.py run out/engines/spark $(MAKE) on-spark REMOTE={remote}

on-spark: # What test-spark does once there is a Spark
	$(call ENGINE_NIGHTS,spark,python3 tests/engines/nights.py) out/engines/spark
	$(call ENGINE_NIGHTS,tls,$(SAIL)/bin/python tests/engines/tls.py)
	SPARK_REMOTE=$(REMOTE) $(SAIL)/bin/python tests/engines/compare.py spark out/readers/sample/merchant/job.toml

spark-up: $(SPARK)/.ready ## Start a Spark on this machine (Java 17) and print its address for `engine.remote`
	$(SPARK)/bin/python tests/engines/cluster.py up out/engines/spark

spark-down: $(SPARK)/.ready ## End it
	$(SPARK)/bin/python tests/engines/cluster.py down out/engines/spark

build-spark: $(PROTOC)/.ready ## Compile with the Spark engine (cargo feature `spark`) as target/debug/coupon-recon-spark
	$(WITH_PROTOC) cargo build --locked --features spark
	cp target/debug/coupon-recon $(ON_SPARK)

$(SPARK)/.ready: tests/engines/requirements-spark.txt
	python3 -m venv $(SPARK) && $(SPARK)/bin/pip install --quiet --requirement $< && touch $@

$(PROTOC)/.ready: tests/engines/requirements-protoc.txt
	python3 -m venv $(PROTOC) && $(PROTOC)/bin/pip install --quiet --requirement $<
	ln -sfn "$$(ls -d $(abspath $(PROTOC))/lib/python3*/site-packages)/protoc/data" $(PROTOC)/data
	chmod +x $(PROTOC)/data/bin/protoc && touch $@

$(SAIL)/.ready: tests/engines/requirements.txt
	python3 -m venv $(SAIL) && $(SAIL)/bin/pip install --quiet --requirement $< && touch $@

torture: ## Kills at every commit point and at random moments, the rate, a soak with faults; TORTURE_KILLS, TORTURE_LANES, SOAK_REQUESTS, SOAK_RATE
	@chmod 600 sample-data/secrets/*
	cargo test --locked --test torture

poor-lakes: lakes # Nights that lack an export, that left a day out, and that could not sign
	for kind in partial failed; do $(PROGRAM) generate out/readers/$$kind/merchant --users 60 --seed 7 >/dev/null || exit; done
	rm out/readers/partial/merchant/orders/2026-11-18.csv
	cp out/readers/31/merchant/secrets/apiclient_key.pem out/readers/failed/merchant/secrets/
	chmod 600 out/readers/*/merchant/secrets/*
	for night in partial:2026-11-18:75 partial:2026-11-18:75 partial:2026-11-20:0 failed:2026-11-18:77; do \
	  IFS=: read -r shop date code <<<$$night; \
	  $(PROGRAM) --now $(DEMO_NOW) simulate out/readers/$$shop/merchant --listen 127.0.0.1:0 -- \
	    $(PROGRAM) --now $(DEMO_NOW) run out/readers/$$shop/merchant/job.toml --date $$date \
	    --base-url '{base_url}' >/dev/null 2>&1; \
	  got=$$?; test $$got -eq $$code || { echo "$$night ended with $$got"; exit 1; }; \
	done

test-contracts: $(CONTRACTS)/.ready poor-lakes ## datacontract tests the contracts, frictionless the CSVs, jsonschema our JSON
	$(CONTRACTS)/bin/python tests/contracts/check.py out/readers/{sample,31}/out/lake
	$(CONTRACTS)/bin/python tests/contracts/check_json.py out/readers/*/out/lake

test-notebooks: $(VENV)/.ready lakes ## The notebook runs from top to bottom
	$(VENV)/bin/python tests/notebooks/run.py notebooks/explore.ipynb out/readers/sample/out/lake out/notebooks

describe: ## Write the data dictionary and the other generated descriptions anew
	cargo run --locked --quiet --example describe

test-all: test test-random-rules test-sail test-spark test-peers test-pack test-watching test-airflow test-store test-ceph ## test and everything that needs other programs

test-requests: $(PEERS)/.cryptography ## Python's cryptography verifies what we sign
	cargo build --locked --bin coupon-recon --example signed_requests
	@mkdir -p out/peers && rm -rf out/peers/merchant
	$(PROGRAM) generate out/peers/merchant --users 60 --seed 7 >/dev/null
	$(PEERS)/bin/python tests/peers/verify_requests.py target/debug/examples/signed_requests out/peers/merchant 600

test-peers: build $(PEERS)/.sdks tests/peers/node/node_modules/.ready ## SDKs of others talk to the simulator (Node.js)
	@mkdir -p out/peers && rm -rf out/peers/merchant
	$(PROGRAM) generate out/peers/merchant --users 60 --seed 7 >/dev/null
	$(PROGRAM) simulate out/peers/merchant --listen 127.0.0.1:0 --world-now $(DEMO_NOW) -- \
	  $(PEERS)/bin/python tests/peers/python_sdks.py out/peers/merchant '{base_url}'
	$(PROGRAM) simulate out/peers/merchant --listen 127.0.0.1:0 --world-now $(DEMO_NOW) -- \
	  node tests/peers/node/talk.js out/peers/merchant '{base_url}'

# Three nights in a folder and in a bucket: the same bytes, through kills, races and lost work folders.
STORE_NIGHTS = rm -rf out/store/$(1) && mkdir -p out/store && \
	$(PROGRAM) generate out/store/$(1)/merchant --users 60 --seed 7 >/dev/null && \
	chmod 600 out/store/$(1)/merchant/secrets/* && \
	$(PROGRAM) --now $(DEMO_NOW) simulate out/store/$(1)/merchant --listen 127.0.0.1:0 -- \
	  $(STORE)/bin/python $(2) \
	  $(STORE)/bin/python tests/store/nights.py $(PROGRAM) out/store/$(1)/merchant '{base_url}' '{endpoint}'

test-store: build $(STORE)/.ready ## A lake in a bucket of moto's S3 server
	$(call STORE_NIGHTS,moto,tests/store/with_moto.py)

test-ceph: build $(STORE)/.ready ## A lake in a bucket of Ceph, which checks signatures (Debian packages)
	$(call STORE_NIGHTS,ceph,tests/store/with_ceph.py out/ceph) --checks-signatures

$(STORE)/.ready: tests/store/requirements.txt
	python3 -m venv $(STORE) && $(STORE)/bin/pip install --quiet --requirement $< && touch $@

test-watching: build $(WATCHING)/.ready ## OpenLineage's and Prometheus' own code read what we tell them
	rm -rf out/watching && mkdir -p out/watching
	$(PROGRAM) generate out/watching/merchant --users 60 --seed 7 >/dev/null
	printf '[metrics]\ntextfile = "recon.prom"\n' >> out/watching/merchant/job.toml
	$(PROGRAM) --now $(DEMO_NOW) simulate out/watching/merchant --listen 127.0.0.1:0 -- \
	  env OPENLINEAGE_PARENT_ID=nights/cron/01939a5c-5c00-7abc-8def-0123456789ab \
	  $(PROGRAM) --now $(DEMO_NOW) run out/watching/merchant/job.toml --from 2026-11-18 --to 2026-11-19 \
	  --base-url '{base_url}' >/dev/null
	sed -i 's/^retry_deadline_seconds.*/retry_deadline_seconds = 1/' out/watching/merchant/job.toml
	! $(PROGRAM) --now $(DEMO_NOW) run out/watching/merchant/job.toml --date 2026-11-20 \
	  --base-url http://127.0.0.1:9 >/dev/null 2>&1
	$(WATCHING)/bin/python tests/watching/check.py out/watching/out/lake out/watching/merchant/recon.prom

# What is timed. Figures go to out/bench/*.json, tables to benches/RESULTS.md; needs a quiet machine and 10 GB of disk.
SUITE  := $(BENCH)/.ready $(DATACOMPY)/.ready $(PEERS)/.sdks tests/peers/node/node_modules/.ready
SMALL  := 1000000
ROUNDS := 3
# Wallets of 18 coupons whose night is rebuilt from the journal.
WALLETS := 55556

bench-programs:
	cargo build --locked --release --bin coupon-recon
	cargo bench --locked --no-run --bench reconcile --bench ingest --bench extraction --bench hot

bench: $(SUITE) bench-programs ## Everything timed, side by side, into benches/RESULTS.md; COUPONS, ROUNDS, SMALL, WALLETS, SECTIONS
	python3 benches/suite/run.py --coupons $(or $(COUPONS),10000000) --small $(SMALL) --rounds $(ROUNDS) --wallets $(WALLETS) \
	  $(if $(SECTIONS),--only $(SECTIONS))

bench-large: bench-programs ## One night of a hundred million coupons, or COUPONS; says what disk it needs
	python3 benches/suite/scale.py --large $(or $(COUPONS),100000000)
	python3 benches/suite/tables.py

bench-scale: bench-programs ## Nights of 1, 3, 10 and 30 million coupons, or MILLIONS, and docs/scaling.svg
	python3 benches/suite/scale.py --millions $(or $(MILLIONS),1$(COMMA)3$(COMMA)10$(COMMA)30)
	python3 benches/suite/tables.py

bench-wallets: ## Memory while 10,000, 100,000 and a million wallets are asked; ASKED
	cargo build --locked --release --bin coupon-recon
	python3 benches/suite/wallets.py measure $(if $(ASKED),--wallets $(ASKED))
	python3 benches/suite/tables.py

bench-instructions: ## Instructions of the hot loops by callgrind: the same figure on any day (Debian's valgrind)
	command -v valgrind >/dev/null || { apt-get update -qq && apt-get install -qq -y --no-install-recommends valgrind; }
	python3 benches/suite/instructions.py

bench-hot: ## The hot loops by Criterion
	cargo bench --locked --bench hot

bench-tables: ## Draw benches/RESULTS.md, docs/scaling.svg and docs/one-billion.md again from out/bench
	python3 benches/suite/tables.py
	python3 benches/suite/plot.py out/bench/scale.json docs/scaling.svg
	python3 benches/suite/paper.py

# What the bench reads: 200 MiB, or BYTES; a large file needs twice its size on the disk.
BYTES := 209715200

bench-ingest: $(BENCH)/.ready ## Bill and order export to sorted Parquet, beside DuckDB; BYTES, ROUNDS
	cargo build --locked --release --bin coupon-recon
	cargo bench --locked --bench ingest --no-run
	mkdir -p out/bench
	$(BENCH)/bin/python benches/ingest/compare.py target/release/coupon-recon \
	  "$$(ls -t target/release/deps/ingest-* | grep -v '\.d$$' | head -1)" out/bench/ingest --bytes $(BYTES) --rounds $(ROUNDS)

# Our client, the Python SDK and the npm SDK ask one simulator for the same pages.
bench-extraction: $(PEERS)/.sdks tests/peers/node/node_modules/.ready ## CPU a page, beside an RSA signature and two SDKs
	cargo build --locked --release --bin coupon-recon
	cargo bench --locked --no-run --bench extraction
	rm -rf out/bench/extraction && mkdir -p out/bench/extraction
	target/release/coupon-recon generate out/bench/extraction/merchant --users 500 --seed 7 >/dev/null
	chmod 600 out/bench/extraction/merchant/secrets/*
	$(PEERS)/bin/python benches/extraction/compare.py prepare out/bench/extraction/merchant
	COUPON_RECON_LOG=error target/release/coupon-recon simulate out/bench/extraction/merchant --listen 127.0.0.1:0 \
	  --world-now $(DEMO_NOW) -- env BENCH_JSON=$(BENCH_JSON) $(PEERS)/bin/python benches/extraction/compare.py run out/bench/extraction/merchant \
	  '{base_url}' "$$(ls -t target/release/deps/extraction-* | grep -v '\.d$$' | head -1)" 5000

$(BENCH)/.ready: benches/requirements.txt
	python3 -m venv $(BENCH) && $(BENCH)/bin/pip install --quiet --requirement $< && touch $@

$(DATACOMPY)/.ready: benches/beside/datacompy.txt
	python3 -m venv $(DATACOMPY) && $(DATACOMPY)/bin/pip install --quiet --requirement $< && touch $@

test-airflow: build $(AIRFLOW)/.ready ## The DAG in a real Airflow 3 against the simulator
	PATH="$(abspath $(AIRFLOW))/bin:$$PATH" python3 tests/airflow/check.py $(PROGRAM) out/airflow

$(AIRFLOW)/.ready: tests/airflow/requirements.txt
	python3 -m venv $(AIRFLOW) && $(AIRFLOW)/bin/pip install --quiet --requirement $< && touch $@

$(WATCHING)/.ready: tests/watching/requirements.txt
	python3 -m venv $(WATCHING) && $(WATCHING)/bin/pip install --quiet --requirement $< && touch $@

# Four weeks, so that the trend has some, and a long list.
test-pack: build $(VENV)/.pack ## The finance pack in Chromium and LibreOffice (Debian packages); pictures under out/pack/pictures
	rm -rf out/pack && $(PROGRAM) generate out/pack/merchant --users 280 --nights 28 --first-date 2026-10-24 --seed 7 >/dev/null
	chmod 600 out/pack/merchant/secrets/*
	$(PROGRAM) --now $(DEMO_NOW) simulate out/pack/merchant --listen 127.0.0.1:0 -- \
	  $(PROGRAM) --now $(DEMO_NOW) run out/pack/merchant/job.toml --from 2026-10-24 --to 2026-11-20 \
	  --base-url '{base_url}' >/dev/null
	$(VENV)/bin/python tests/pack/check.py out/pack/out/lake/reports/dt=2026-11-20 out/pack/pictures

$(VENV)/.pack: tests/pack/requirements.txt
	test -d $(VENV) || python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement $<
	command -v chromium >/dev/null && command -v soffice >/dev/null && command -v pdftoppm >/dev/null && \
	  fc-list :lang=zh | grep -q . || { apt-get update -qq && \
	  apt-get install -qq -y --no-install-recommends chromium libreoffice-calc-nogui poppler-utils fonts-noto-cjk; }
	touch $@

$(PEERS)/.cryptography: tests/peers/requirements.txt
	python3 -m venv $(PEERS) && $(PEERS)/bin/pip install --quiet $$(grep '^cryptography==' $<) && touch $@

$(PEERS)/.sdks: tests/peers/requirements.txt $(PEERS)/.cryptography
	$(PEERS)/bin/pip install --quiet --requirement $< && touch $@

tests/peers/node/node_modules/.ready: tests/peers/node/package-lock.json
	cd tests/peers/node && npm ci --silent --ignore-scripts && touch node_modules/.ready

$(CONTRACTS)/.ready: tests/contracts/requirements.txt
	python3 -m venv $(CONTRACTS) && $(CONTRACTS)/bin/pip install --quiet --requirement $< && touch $@

$(VENV)/.ready: tests/readers/requirements.txt
	python3 -m venv $(VENV) && $(VENV)/bin/pip install --quiet --requirement $< && touch $@

lint: ## Formatting, clippy, documentation
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --test torture -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items

clean-out: ## Remove what demo and tests have written
	rm -rf out

.PHONY: help build demo test test-all test-rust lakes engine-lakes poor-lakes test-readers test-random-rules test-sail test-spark spark-up spark-down \
  build-spark lint-spark on-spark test-contracts test-notebooks test-requests test-peers test-pack test-watching bench \
  bench-programs bench-large bench-scale bench-instructions bench-hot bench-tables bench-ingest bench-extraction test-airflow \
  test-store test-ceph torture describe lint clean-out
