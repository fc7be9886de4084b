"""The runs for which an erasure waits: they were planned before it, and may still write the photo's row."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from fruits_airflow.bucket import Bucket
from fruits_airflow.run_params import dag_id_of, read_run_params
from fruits_contract import layout
from fruits_contract.pipelines import PIPELINES

log = logging.getLogger(__name__)

READERS = 16
ALIVE = ["queued", "running"]


class Airflow(Protocol):
    """What a task instance can be asked: the number of DAG runs or task instances."""

    def get_dr_count(self, dag_id: str, logical_dates: Any = None, run_ids: Any = None, states: Any = None) -> int: ...

    def get_ti_count(self, dag_id: str, *, task_ids: Any = None, states: Any = None) -> int: ...


def is_run_under_way(bucket: Bucket, airflow: Airflow) -> bool:
    """Return whether a run is alive that has listed photos or features, or is about to.

    A run that waits for its drop may do so for hours, and lists the drop only afterwards: it is not waited for.
    """
    for pipeline in PIPELINES:
        if airflow.get_ti_count(pipeline.dag_id, task_ids=[pipeline.plan_task], states=["running"]):
            log.info("%s is being planned", pipeline.dag_id)
            return True
    alive = {pipeline.dag_id for pipeline in PIPELINES if airflow.get_dr_count(pipeline.dag_id, states=ALIVE)}
    if not alive:
        return False
    for dag_id, dag_run_id in _planned(bucket):
        if dag_id in alive and airflow.get_dr_count(dag_id, run_ids=[dag_run_id], states=ALIVE):
            log.info("Run %s of %s is under way", dag_run_id, dag_id)
            return True
    return False


def _planned(bucket: Bucket) -> Iterator[tuple[str, str]]:
    """Yield `dag_id` and `dag_run_id` of every run that has been planned."""
    with ThreadPoolExecutor(READERS) as readers:
        for params in readers.map(lambda run: read_run_params(bucket, run), bucket.folders(layout.RUNS)):
            if "dag_run_id" in params:
                yield dag_id_of(params), str(params["dag_run_id"])
