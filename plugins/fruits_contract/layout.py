"""The keys of the bucket: what the DAG, the stages and the tools read and write."""

import hashlib
import re

RAW = "raw/"
RUNS = "runs/"
CODE = "code/"
READY = "_READY"
LOGS = "logs/"
MODELS = "models/"
CURRENT_MODELS = f"{MODELS}current.json"
CLASSIFIERS = f"{MODELS}classifier/"
EMR_CERTIFICATES = "security/emr-certificates.zip"  # as infra/emr.yaml names them
CONTRIBUTIONS = "contributions/"
CONTRIBUTED_PHOTOS = f"{CONTRIBUTIONS}photos/"
CONTRIBUTION_RECORDS = f"{CONTRIBUTIONS}records/"
CONTRIBUTION_CLAIMS = f"{CONTRIBUTIONS}claims/"
ERASURES = "erasures/"
ERASURE_REQUESTS = f"{ERASURES}requests/"
ERASURE_CERTIFICATES = f"{ERASURES}certificates/"
RETENTION = "retention.json"  # the oldest object of each prefix that holds personal data, when it was last looked at

FEATURES_TABLE = "tables/features"
PROJECTED_TABLE = "tables/projected"
REJECTS_TABLE = "tables/rejects"

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
CONTRIBUTED_NAME = r"(?:^|/)contributed-[^/]*$"  # anything that may be a contributed photo
_CONTRIBUTED = re.compile(r"contributed-(\d{8}-[0-9a-f]{32})\.jpg")


class InvalidName(ValueError):
    """A drop, release or run name that cannot be part of a key."""


def check_name(value: str, *, what: str) -> str:
    """Return `value` when it can be one part of a key; raise `InvalidName` saying what is allowed otherwise."""
    if NAME.fullmatch(value):
        return value
    raise InvalidName(
        f"{what} {value!r} cannot be used: expected 1 to 128 letters, digits, '.', '_' or '-', starting with a letter or a digit"
    )


def run_name(dag_run_id: str) -> str:
    """Turn an Airflow run id into a name that Hadoop paths accept.

    Hadoop reads ':' as a scheme and '+' turns into a blank in URLs, and Airflow's own run ids hold both. An id that had to be
    changed, or that looks like one that was, gets a digest of the original, so that two different ids never share a folder.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", dag_run_id).strip("-._")[:100]
    if plain == dag_run_id and plain and not re.search(r"-[0-9a-f]{8}$", plain):
        return plain
    return f"{plain or 'run'}-{hashlib.sha256(dag_run_id.encode()).hexdigest()[:8]}"


def uri(bucket: str, key: str) -> str:
    """Return `s3://bucket/key`, the form that Spark and EMR read."""
    return f"s3://{bucket}/{key}"


# ---- raw photos: personal data may be in them


def raw_prefix(drop: str) -> str:
    """Return the folder of a drop, ending with '/'."""
    return f"{RAW}{drop}/"


def raw_image(drop: str, variety: str, image: str) -> str:
    """Return the key of one photo."""
    return f"{RAW}{drop}/{variety}/{image}"


def ready(drop: str) -> str:
    """Return the key of the empty object that marks a drop as complete."""
    return f"{RAW}{drop}/{READY}"


def variety_of(key: str) -> str:
    """Return the variety that a photo's key names: the folder the photo lies in; '' for a photo outside any variety folder."""
    parts = key.split("/")
    return parts[-2] if len(parts) >= 4 else ""


def contributed_image(drop: str, variety: str, contribution: str) -> str:
    """Return the key of a contributed photo that was accepted into a drop."""
    return raw_image(drop, variety, f"contributed-{contribution}.jpg")


def contribution_of(key: str) -> str:
    """Return the id of the contribution that a key of a contributed photo names; '' for any other key."""
    found = _CONTRIBUTED.fullmatch(key.rpartition("/")[2])
    return found.group(1) if found else ""


# ---- contributions: personal data


def contribution_photo(contribution: str) -> str:
    """Return the key of a contributed photo that waits for review."""
    return f"{CONTRIBUTED_PHOTOS}{contribution}.jpg"


def contribution_record(contribution: str) -> str:
    """Return the key of a contribution's record (`Contribution`): consent, guess, state; it stays as long as the photo's row."""
    return f"{CONTRIBUTION_RECORDS}{contribution}.json"


def contribution_claim(contribution: str) -> str:
    """Return the key of a reviewer's claim of a contribution, which keeps other reviewers from it for some minutes."""
    return f"{CONTRIBUTION_CLAIMS}{contribution}.json"


def erasure_request(request: str) -> str:
    """Return the key of a request to erase (`ErasureRequest`); deleted once it is done."""
    return f"{ERASURE_REQUESTS}{request}.json"


def erasure_progress(request: str) -> str:
    """Return the key of what an erasure has found and removed so far; deleted once it is done."""
    return f"{ERASURES}progress/{request}.json"


def erasure_certificate(request: str) -> str:
    """Return the key of the certificate of an erasure, as data."""
    return f"{ERASURE_CERTIFICATES}{request}.json"


def erasure_certificate_page(request: str) -> str:
    """Return the key of the certificate of an erasure, as a page."""
    return f"{ERASURE_CERTIFICATES}{request}.html"


# ---- code


def release_prefix(release: str) -> str:
    """Return the folder of one release of the code, ending with '/'."""
    return f"{CODE}{release}/"


def release_card(release: str) -> str:
    """Return the key of `release.json`: digests of the release's files and of its extractor; uploaded last."""
    return f"{CODE}{release}/release.json"


def package_zip(release: str) -> str:
    """Return the key of the zip for `--py-files`: the packages fruits and fruits_contract."""
    return f"{CODE}{release}/fruits.zip"


def stage_script(release: str, stage: str) -> str:
    """Return the key of a stage's entry script."""
    return f"{CODE}{release}/{stage}.py"


def bootstrap_script(release: str) -> str:
    """Return the key of the EMR bootstrap action."""
    return f"{CODE}{release}/bootstrap/install_python.sh"


def wheels_prefix(release: str) -> str:
    """Return the folder with the wheelhouse and its requirements.txt, ending with '/'."""
    return f"{CODE}{release}/wheels/"


# ---- models


def extractor(digest: str) -> str:
    """Return the key of a feature extractor, by the sha256 of its file."""
    return f"{MODELS}extractor/{digest}.tflite"


def extractor_keras(digest: str) -> str:
    """Return the key of the same feature extractor in Keras's own format, for the reference engine."""
    return f"{MODELS}extractor/{digest}.keras"


def pca_arrays(model_id: str) -> str:
    """Return the key of a PCA's arrays."""
    return f"{MODELS}pca/{model_id}/pca.npz"


def pca_card(model_id: str) -> str:
    """Return the key of a PCA's card."""
    return f"{MODELS}pca/{model_id}/card.json"


def classifier_arrays(model_id: str) -> str:
    """Return the key of a classifier's arrays."""
    return f"{CLASSIFIERS}{model_id}/classifier.npz"


def classifier_card(model_id: str) -> str:
    """Return the key of a classifier's card, as data."""
    return f"{CLASSIFIERS}{model_id}/card.json"


def classifier_card_page(model_id: str) -> str:
    """Return the key of a classifier's card, as a page."""
    return f"{CLASSIFIERS}{model_id}/card.html"


# ---- one run


def run_prefix(run: str) -> str:
    """Return the folder of one run, ending with '/'."""
    return f"{RUNS}{run}/"


def run_params(run: str) -> str:
    """Return the key of the parameters that every stage of the run receives (`RunParams`), with DAG and DAG run."""
    return f"{RUNS}{run}/params.json"


def plan_summary(run: str) -> str:
    """Return the key of what the plan expects of the run, for its report (`PlanSummary`)."""
    return f"{RUNS}{run}/plan.json"


def batch(run: str) -> str:
    """Return the key of the list of photos to featurize."""
    return f"{RUNS}{run}/batch.parquet"


def retained(run: str) -> str:
    """Return the key of the list of feature files that were published when the run was planned; read by a fit."""
    return f"{RUNS}{run}/retained.json"


def replaced_pca(run: str) -> str:
    """Return the key of the entry of `models/current.json` that a fit replaced ({} for none); read by a rollback."""
    return f"{RUNS}{run}/replaced_pca.json"


def training_points(run: str) -> str:
    """Return the folder of what a training hands to Spark ML, ending with '/'; deleted after the training."""
    return f"{RUNS}{run}/training/"


def manifest(run: str, stage: str) -> str:
    """Return the key of a stage's manifest."""
    return f"{RUNS}{run}/{stage}.json"


def progress(run: str, stage: str) -> str:
    """Return the key of how far a stage is (`Progress`); the last one stays, also that of a stage that failed."""
    return f"{RUNS}{run}/{stage}.progress.json"


def task_counts(run: str, stage: str) -> str:
    """Return the folder where each Spark task of a stage counts its photos, ending with '/'; deleted after the stage."""
    return f"{RUNS}{run}/{stage}.counts/"


def month_costs(month: str) -> str:
    """Return the folder of what the clusters of a month, e.g. 2026-11, have cost, ending with '/'."""
    return f"costs/{month}/"


def cluster_cost(month: str, run: str, cluster: str) -> str:
    """Return the key of what a cluster of a run has cost, for the sum of its month; a run whose cluster was lost has several."""
    return f"{month_costs(month)}{run}.{cluster}.json"


def report_page(run: str) -> str:
    """Return the key of the HTML report."""
    return f"{RUNS}{run}/report/index.html"


def report_data(run: str) -> str:
    """Return the key of the report's figures."""
    return f"{RUNS}{run}/report/report.json"


def final_features(run: str) -> str:
    """Return the key of the CSV with one row per projected photo."""
    return f"{RUNS}{run}/final_features.csv"


# ---- tables: `drop=.../run=...` folders, invisible until publish commits them


def features_drop(drop: str) -> str:
    """Return the folder of a drop's features of all runs, ending with '/'."""
    return f"{FEATURES_TABLE}/drop={drop}/"


def features_part(drop: str, run: str) -> str:
    """Return the folder where a run writes its features, ending with '/'."""
    return f"{features_drop(drop)}run={run}/"


def rejects_part(drop: str, run: str) -> str:
    """Return the folder where a run writes its rejects, ending with '/'."""
    return f"{REJECTS_TABLE}/drop={drop}/run={run}/"


def projected_part(pca: str, drop: str, run: str) -> str:
    """Return the folder where a run writes its projections, ending with '/'."""
    return f"{PROJECTED_TABLE}/pca={pca}/drop={drop}/run={run}/"


def delta_log(table: str) -> str:
    """Return the folder of a table's log, which Delta Lake writes, ending with '/'."""
    return f"{table}/_delta_log/"


def is_in_delta_log(key: str) -> bool:
    """Return whether a key is that of a file in the log of a table."""
    return "/_delta_log/" in key


def tables_lease() -> str:
    """Return the key of the lease that publish, rollback and maintenance hold while they change the tables."""
    return "tables/lease.json"


def beside(key: str, name: str) -> str:
    """Return the key of a file in the folder of another: a rewritten file stays in the partition of its rows."""
    return f"{key.rpartition('/')[0]}/{name}"


def partition_values(key: str) -> dict[str, str]:
    """Return the Hive partition values that a key names, e.g. {'drop': 'first', 'run': 'r1'}."""
    return dict(part.split("=", 1) for part in key.split("/") if "=" in part)


# ---- logs: EMR's own layout


def logs_uri(bucket: str) -> str:
    """Return the LogUri for clusters."""
    return f"s3://{bucket}/{LOGS}"


def step_log(cluster: str, step: str, stream: str) -> str:
    """Return the key where EMR puts a step's `stdout`, `stderr` or `controller` log."""
    return f"{LOGS}{cluster}/steps/{step}/{stream}.gz"
