"""The tags of a cluster that say which deployment and which DAG run it belongs to."""

import re

from fruits_airflow.settings import Settings

PROJECT = "project"
DEPLOYMENT = "deployment"
DAG_ID = "dag_id"
DAG_RUN_ID = "dag_run_id"
RUN = "run"  # its name in the bucket

NAME_PREFIX = "fruits "  # of a cluster's name: ListClusters returns names, but no tags

# What EMR accepts in the value of a tag, without "=", which begins and ends the code of another character.
_REFUSED = re.compile(r"[^A-Za-z0-9 _.:/+@-]")
_CODE = re.compile(r"=([0-9A-F]+)=")


def of_deployment(settings: Settings) -> dict[str, str]:
    """Return the tags of all clusters of a deployment."""
    return {PROJECT: "fruits", DEPLOYMENT: settings.deployment or settings.bucket}


def of_dag_run(dag_id: str, dag_run_id: str) -> dict[str, str]:
    """Return the tags of a DAG run's cluster; `dag_run_id` may have characters that EMR refuses, such as '~'."""
    return {DAG_ID: dag_id, DAG_RUN_ID: _REFUSED.sub(lambda found: f"={ord(found[0]):X}=", dag_run_id)}


def dag_run_id(tags: dict[str, str]) -> str:
    """Return the id that `of_dag_run` has put into the tags; '' for a cluster without it."""
    return _CODE.sub(lambda found: chr(int(found[1], 16)), tags.get(DAG_RUN_ID, ""))
