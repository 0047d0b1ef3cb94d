# Needs make and a python3 of 3.11 or newer; everything else comes into .venv by `make setup`.
PYTHON ?= python3
RUN := .venv/bin/python -m
# For example: make test TEST_OPTIONS="tests/unit --maxfail=1"
TEST_OPTIONS ?=
# For example: make demo OPTIONS="--for 60s"
OPTIONS ?=
SBOM ?= sbom.json

.DEFAULT_GOAL := help
.PHONY: help environment setup demo run test check bench crash soak engine dashboards sbom readers wheelhouse lock clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Ends at once, without pip and without a connection, when .venv fits the lock files.
environment:
	@$(PYTHON) scripts/setup.py

setup: environment ## make .venv from the locked, hashed requirements (other targets do so by themselves)
	@echo ".venv is ready"

demo: environment ## keep tables of a simulated New York in ./thirdrail-demo until Ctrl-C (no network needed)
	@./thirdrail demo $(OPTIONS)

run: environment ## keep tables of the live subway in ./thirdrail-data until Ctrl-C
	@./thirdrail run $(OPTIONS)

test: environment ## run the fast tests, and list what was not run for want of a part
	$(RUN) pytest -m "not crash and not bench" --timeout 300 $(TEST_OPTIONS)

check: environment ## lint, formatting, types, and which room may import which
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	.venv/bin/lint-imports

bench: environment ## measure: speed, memory, freshness
	$(RUN) benchmarks
	$(RUN) benchmarks.live
	$(RUN) benchmarks.snowflake
	$(RUN) benchmarks.rates
	$(RUN) benchmarks.observing

crash: environment ## kill real processes many times over, and count what survives (long)
	THIRDRAIL_KILLS=1000 THIRDRAIL_CARE_KILLS=300 THIRDRAIL_TWO_SECONDS=120 $(RUN) pytest tests/kill --timeout 3600
	THIRDRAIL_CARE_CUTS=100 $(RUN) pytest tests/maintenance/test_power_cuts.py --timeout 3600
	THIRDRAIL_SEEDS=2000 THIRDRAIL_WRITER_SEEDS=1000 THIRDRAIL_HANDED_SEEDS=300 $(RUN) pytest tests/simulation --timeout 3600
	THIRDRAIL_SNOWFLAKE_ROUNDS=3000 $(RUN) pytest tests/snowpipe_streaming tests/snowpipe --timeout 3600
	THIRDRAIL_SNOWFLAKE_KILLS=100 $(RUN) pytest tests/kill/test_snowflake.py --timeout 3600
	THIRDRAIL_FROZEN_SECONDS=600 $(RUN) pytest tests/live/test_snowflake.py --timeout 1200
	THIRDRAIL_CUT_SECONDS=120 $(RUN) pytest tests/live/test_faults.py -k network --timeout 1200
	$(RUN) pytest -m crash $(TEST_OPTIONS)

engine: environment ## build the image and deploy it on a real Docker Engine of its own (root, Debian 12; eight minutes)
	tests/deploy/engine.sh

dashboards: environment ## write the Grafana dashboards anew
	.venv/bin/python scripts/dashboards.py

sbom: environment ## write sbom.json (CycloneDX): the libraries that run, from the largest runtime lock
	.venv/bin/cyclonedx-py requirements --output-reproducible --output-file $(SBOM) requirements-snowflake.txt

soak: environment ## commit 20,000 times over all tables, with care, and see that nothing grows (half an hour)
	THIRDRAIL_SOAK=20000 $(RUN) pytest tests/soak --timeout 7200 $(TEST_OPTIONS)

readers: .venv-readers/done tests/readers/spark/target/classpath tests/contract/rest/target/classpath ## get other engines and a REST catalog for the tests that need them (needs a network)

.venv-readers/done: requirements-readers.txt
	rm -rf .venv-readers
	$(PYTHON) -m venv .venv-readers
	.venv-readers/bin/pip --disable-pip-version-check install --quiet --require-hashes --only-binary :all: -r $<
	touch $@

%/target/classpath: %/pom.xml
	mvn --quiet --batch-mode --file $< dependency:build-classpath -Dmdep.outputFile=target/classpath

# Moved into place when complete: set-up trusts a wheels/ folder that exists.
wheelhouse: environment ## fill wheels/, for set-ups on machines like this one without a network
	rm -rf wheels.part
	$(RUN) pip --disable-pip-version-check download --quiet --require-hashes --only-binary :all: \
		--requirement requirements-dev.txt --dest wheels.part
	rm -rf wheels
	mv wheels.part wheels

lock: ## write the locks, requirements*.txt, anew from their .in files (needs a network)
	PYTHON=$(PYTHON) sh scripts/lock.sh

clean: ## remove .venv, wheels/ and every cache, but no data
	rm -rf .venv .venv-readers tests/readers/spark/target tests/contract/rest/target wheels wheels.part dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks scripts -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
