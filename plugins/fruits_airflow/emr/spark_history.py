"""Spark's history of a cluster: EMR's persistent application UI, which outlives the cluster."""

from typing import Any

import tenacity
from botocore.exceptions import BotoCoreError, ClientError

from fruits_contract import layout

# A new UI is ready within seconds.
READY_TIMEOUT_S = 30
POLL_S = 2


class NoSparkHistory(RuntimeError):
    """EMR does not show the history of a cluster; the message says why and what to do."""


def spark_history_address(emr: Any, cluster: str, *, bucket: str) -> str:
    """Return a presigned address of a cluster's Spark history.

    Whoever has the address needs no further login, so it belongs in no log, XCom or page. EMR returns the same UI for a cluster
    each time.

    Parameters
    ----------
    emr
        A boto3 client of EMR.
    bucket
        The project's bucket; the histories of clusters with logs elsewhere are not shown.

    Raises
    ------
    NoSparkHistory
        When the cluster is unknown or not one of this project, EMR refuses, or the UI is not ready in time.
    """
    try:
        described = emr.describe_cluster(ClusterId=cluster)["Cluster"]
        if _without_scheme(described.get("LogUri", "")) != _without_scheme(layout.logs_uri(bucket)):
            raise NoSparkHistory(f"Cluster {cluster} is not one of this project: its logs are not in {layout.logs_uri(bucket)}.")
        ui = emr.create_persistent_app_ui(TargetResourceArn=described["ClusterArn"])["PersistentAppUIId"]
        retry = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda address: not address),
            stop=tenacity.stop_after_delay(READY_TIMEOUT_S),
            wait=tenacity.wait_fixed(POLL_S),
        )
        return str(retry(_presigned_address, emr, ui))
    except tenacity.RetryError as error:
        raise NoSparkHistory(f"EMR is still preparing the history of cluster {cluster}. Try again in a minute.") from error
    except (ClientError, BotoCoreError) as error:
        raise NoSparkHistory(
            f"EMR does not show the history of cluster {cluster}: {error}. It keeps a history for 30 days, and Airflow's role "
            "needs the PersistentAppUI permissions of infra/access.yaml."
        ) from error


def _presigned_address(emr: Any, ui: str) -> str:
    """Return the address, or '' while the UI is not ready."""
    if emr.describe_persistent_app_ui(PersistentAppUIId=ui)["PersistentAppUI"].get("PersistentAppUIStatus") != "ATTACHED":
        return ""
    response = emr.get_persistent_app_ui_presigned_url(PersistentAppUIId=ui, PersistentAppUIType="SHS")
    return response["PresignedURL"] if response.get("PresignedURLReady") else ""


def _without_scheme(uri: str) -> str:
    """Return bucket and prefix; EMR describes s3:// as s3n://."""
    return uri.partition("://")[2].rstrip("/")
