"""Making a run public: refuse it when a finding is red, else commit its files and point to its models, once.

It must not know Airflow's context; `publish_run` is called by the DAG's last task.
"""

import logging
from datetime import UTC, datetime
from typing import Any

from airflow.sdk.exceptions import AirflowFailException
from botocore.exceptions import ClientError

from fruits_airflow.current import make_current
from fruits_airflow.settings import Settings
from fruits_airflow.tables import Table
from fruits_contract import layout
from fruits_contract.manifest import Manifest, WrittenFile
from fruits_contract.params import RunParams
from fruits_contract.stages import FEATURIZE, PUBLISH, TRANSFORM_PCA, VALIDATE

log = logging.getLogger(__name__)


def publish_run(s3: Any, settings: Settings, params: RunParams) -> dict[str, Any]:
    """Publish a run; doing it twice changes nothing.

    The features table comes last of the tables: it is what tells the next run that these photos are done, so a publication
    that broke off half-way is made whole by running the drop again.

    Raises
    ------
    AirflowFailException
        A finding is red: nothing is published. The message holds the findings.
    """
    verdict = _manifest(s3, params, VALIDATE.name)
    if verdict.red:
        lines = [f"{finding.check}: {finding.message}" for finding in verdict.red]
        raise AirflowFailException("not published, because validate found:\n  " + "\n  ".join(lines))
    written = _manifest(s3, params, FEATURIZE.name).files
    files = {
        layout.PROJECTED: _manifest(s3, params, TRANSFORM_PCA.name).files,
        layout.REJECTS: _below(written, layout.REJECTS),
        layout.FEATURES: _below(written, layout.FEATURES),
    }
    for key, group in files.items():
        is_new = Table(params.bucket, key, settings.region).publish(group, run=params.run)
        log.info("%s: %s", key, f"{sum(file.rows for file in group)} rows committed" if is_new else "nothing to commit")
    if params.mode == "fit":
        model = {"model_id": params.pca, "extractor": params.extractor, "run": params.run}
        is_new = make_current(s3, params.bucket, kind="pca", model=model)
        log.info("%s: PCA %s %s", layout.CURRENT_MODELS, params.pca, "is current now" if is_new else "was current already")
    done = Manifest(
        stage=PUBLISH,
        run=params.run,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=0.0,
        rows_out=sum(file.rows for file in files[layout.FEATURES]),
    )
    try:
        s3.put_object(
            Bucket=params.bucket,
            Key=layout.manifest(params.run, PUBLISH),
            Body=done.to_json().encode(),
            IfNoneMatch="*",
        )
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 412:
            raise
    return {"run": params.run, "drop": params.drop, "pca": params.pca, "features": done.rows_out}


def _manifest(s3: Any, params: RunParams, stage: str) -> Manifest:
    answer = s3.get_object(Bucket=params.bucket, Key=layout.manifest(params.run, stage))
    return Manifest.from_json(answer["Body"].read())


def _below(files: tuple[WrittenFile, ...], table: str) -> tuple[WrittenFile, ...]:
    return tuple(file for file in files if file.key.startswith(f"{table}/"))
