"""Making a run public: refuse it when a finding is red, else commit its files and point to its models, once.

It must not know Airflow's context; `publish_run` is called by the DAG's last task, one at a time.
"""

import json
import logging
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from fruits_airflow.current import make_current, read_current
from fruits_airflow.settings import Settings
from fruits_airflow.tables import Table
from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURIZE, TRANSFORM_PCA, VALIDATE, FeaturesRunParams
from fruits_contract.manifest import Manifest, WrittenFile

log = logging.getLogger(__name__)

ORDER = (layout.PROJECTED_TABLE, layout.REJECTS_TABLE, layout.FEATURES_TABLE)


def publish_run(s3: Any, settings: Settings, params: FeaturesRunParams) -> dict[str, Any]:
    """Publish a run; doing it twice changes nothing.

    The features table comes last of the tables: it is what tells the next run that these photos are done, so a publication
    that broke off half-way is made whole by running the drop again.

    Raises
    ------
    AirflowFailException
        A finding is red, or another run has changed what this one was planned on: nothing is published.
    """
    verdict = _manifest(s3, params, VALIDATE.name)
    if verdict.red:
        lines = [f"{finding.check}: {finding.message}" for finding in verdict.red]
        raise AirflowFailException("not published, because validate found:\n  " + "\n  ".join(lines))
    tables = {key: Table(params.bucket, key, settings.region) for key in ORDER}
    if not tables[layout.FEATURES_TABLE].has(params.run):
        _check_plan_still_holds(s3, params, tables[layout.FEATURES_TABLE])

    written = _manifest(s3, params, FEATURIZE.name).files
    files = {
        layout.PROJECTED_TABLE: _manifest(s3, params, TRANSFORM_PCA.name).files,
        layout.REJECTS_TABLE: _below(written, layout.REJECTS_TABLE),
        layout.FEATURES_TABLE: _below(written, layout.FEATURES_TABLE),
    }
    for key, table in tables.items():
        is_new = table.publish(files[key], run=params.run)
        log.info("%s: %s", key, f"{sum(file.rows for file in files[key])} rows committed" if is_new else "nothing to commit")
    stale = tables[layout.REJECTS_TABLE].remove(files[layout.FEATURES_TABLE], drop=params.drop, run=params.run)
    for key in (layout.FEATURES_TABLE, layout.PROJECTED_TABLE):
        stale += tables[key].remove(files[layout.REJECTS_TABLE], drop=params.drop, run=params.run)
    log.info("%s rows of photos that were repaired or broken since are gone", stale)

    if params.mode == "fit":
        model = {"model_id": params.pca, "extractor": params.extractor, "run": params.run}
        is_new = make_current(s3, params.bucket, kind="pca", model=model)
        log.info("%s: PCA %s %s", layout.CURRENT_MODELS, params.pca, "is current now" if is_new else "was current already")
    return {"run": params.run, "drop": params.drop, "pca": params.pca}


def _check_plan_still_holds(s3: Any, params: FeaturesRunParams, features: Table) -> None:
    """Refuse a run that would leave photos without a projection on the current PCA, because another was published meanwhile."""
    if params.mode == "transform":
        current = read_current(s3, params.bucket).pca_of(params.extractor)
        if current != params.pca:
            raise AirflowFailException(f"PCA {current} has become current since this run was planned; run the drop again")
        return
    planned = json.loads(s3.get_object(Bucket=params.bucket, Key=layout.retained(params.run))["Body"].read())
    others = _runs(features.files()) - _runs(planned)
    if others:
        raise AirflowFailException(
            f"this fit does not know the photos that were published after it was planned, by {', '.join(sorted(others))}; "
            "run the drop again"
        )


def _runs(files: list[str]) -> set[str]:
    return {layout.partition_values(key)["run"] for key in files}


def _manifest(s3: Any, params: FeaturesRunParams, stage: str) -> Manifest:
    answer = s3.get_object(Bucket=params.bucket, Key=layout.manifest(params.run, stage))
    return Manifest.from_json(answer["Body"].read())


def _below(files: tuple[WrittenFile, ...], table: str) -> tuple[WrittenFile, ...]:
    return tuple(file for file in files if file.key.startswith(f"{table}/"))
