"""The embedded services for all end-to-end tests: real S3, real EMR protocol, real Spark, all four processes of Airflow."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest

from fruits_airflow.bucket import Bucket
from fruits_airflow.tables import PublishedTable
from fruits_contract import columns, layout
from local import AIRFLOW_USER, REPO
from local.client import synthetic_photos
from local.client.airflow_api import AirflowApi, DagRun
from local.client.upload import upload_drop
from local.deploy import settings_of
from local.stack import airflow, services
from local.stack.stack import Stack as Services
from local.waiting import wait_until
from release.upload import upload_release

DAG = "fruits_features"
EVERY_MINUTE = "fruits_features_every_minute"
HOUSEKEEPING = "fruits_housekeeping"
REAL_PHOTOS = REPO.parent / "shared" / "fruits-360"
RUN_LIMIT_S = 1200


@dataclass(frozen=True)
class Ended:
    """A DAG run that is over."""

    dag_run: DagRun
    run: str
    stack: "Stack"

    @property
    def state(self) -> str:
        return self.dag_run.state

    @property
    def tasks(self) -> dict[str, str]:
        return {task.task: task.state for task in self.dag_run.tasks}

    def log(self, name: str) -> str:
        (task,) = (task for task in self.dag_run.tasks if task.task == name)
        return "\n".join(self.stack.api.log(self.dag_run, task))

    def manifest(self, stage: str) -> Any:
        return json.loads(self.stack.read(layout.manifest(self.run, stage)))


class Stack:
    """The running services, with what the tests need of them."""

    def __init__(self, running: Services, *, lineage: Path | None = None, dags: Sequence[str] = (DAG,)) -> None:
        self.lineage = lineage
        self.services = running
        self.bucket = running.bucket
        self.s3 = boto3.client("s3")
        self.emr = boto3.client("emr")
        self.api = AirflowApi(running.url("airflow"), user=AIRFLOW_USER, password=running.secrets.airflow_password)
        self.release = upload_release(self.bucket, say=print).release
        self.deploy()
        assert wait_until(lambda: all(self.api.has_dag(dag) for dag in dags), timeout_s=180, every_s=1)
        self.pause(DAG, is_paused=False)

    def deploy(self, **settings: object) -> None:
        """Write the Airflow Variable, with further settings."""
        values = settings_of(self.services, self.release) | {"wait_for_drop_s": 30} | settings
        self.api.write_variable("fruits", json.dumps(values))

    def upload(self, folder: Path, drop: str) -> int:
        return upload_drop(folder, bucket=self.bucket, drop=drop).photos

    def run(self, drop: str | None, **params: object) -> Ended:
        """Trigger the DAG and wait until the run is over."""
        conf = params | ({"drop": drop} if drop else {})
        return self.wait(DAG, self.api.trigger(DAG, conf))

    def lineage_events(self, run: str) -> list[dict[str, Any]]:
        """Return the OpenLineage events of a DAG run."""
        assert self.lineage is not None
        events = [json.loads(line) for line in self.lineage.read_text().splitlines()]
        return [event for event in events if run in json.dumps(event["run"]["facets"])]

    def wait(self, dag: str, dag_run_id: str) -> Ended:
        order = self.api.task_order(dag)
        assert wait_until(lambda: self.api.dag_run(dag, dag_run_id, order=order).is_over, timeout_s=RUN_LIMIT_S, every_s=1)
        return Ended(self.api.dag_run(dag, dag_run_id, order=order), layout.run_name(dag_run_id), self)

    def wait_for_task(self, dag_run_id: str, task: str, state: str) -> None:
        order = self.api.task_order(DAG)

        def is_reached() -> bool:
            tasks = self.api.dag_run(DAG, dag_run_id, order=order).tasks
            return (task, state) in {(item.task, item.state) for item in tasks}

        assert wait_until(is_reached, timeout_s=RUN_LIMIT_S, every_s=1)

    def wait_for_log(self, dag_run_id: str, task: str, text: str) -> None:
        """Wait for a line in the log of a task, such as one that only its trigger writes."""

        def is_there() -> bool:
            dag_run = self.api.dag_run(DAG, dag_run_id, order=[task])
            return any(text in line for item in dag_run.tasks if item.task == task for line in self.api.log(dag_run, item))

        assert wait_until(is_there, timeout_s=RUN_LIMIT_S, every_s=1)

    def clear(self, dag_run_id: str, task: str) -> None:
        """Clear a task of fruits_features as the UI does: with the tasks after it, the setup and the teardown."""
        body = {"dry_run": False, "dag_run_id": dag_run_id, "task_ids": [task], "only_failed": False, "include_downstream": True}
        self.api.request("POST", f"/dags/{DAG}/clearTaskInstances", body)

    def change_release(self, name: str, stage: str, *, first_lines: str) -> None:
        """Make a copy of the release in which the main function of a stage begins with `first_lines`."""
        for key in self.keys(layout.release_prefix(self.release)):
            copy = key.replace(layout.release_prefix(self.release), layout.release_prefix(name))
            self.s3.copy_object(Bucket=self.bucket, Key=copy, CopySource={"Bucket": self.bucket, "Key": key})
        script = self.read(layout.stage_script(self.release, stage)).decode()
        begin = "    run = StageRun.begin"
        assert begin in script
        script = script.replace(begin, f"    {first_lines}\n{begin}")
        self.s3.put_object(Bucket=self.bucket, Key=layout.stage_script(name, stage), Body=script.encode())

    def pause(self, dag: str, *, is_paused: bool) -> None:
        self.api.request("PATCH", f"/dags/{dag}", {"is_paused": is_paused})

    def next_run(self, dag: str) -> str:
        """Wait until the scheduler has made a run of the DAG, and return its id."""
        assert wait_until(lambda: self._runs(dag), timeout_s=150, every_s=1)
        return str(self._runs(dag)[0]["dag_run_id"])

    def _runs(self, dag: str) -> list[dict[str, Any]]:
        return list(self.api.request("GET", f"/dags/{dag}/dagRuns")["dag_runs"])

    def read(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def keys(self, prefix: str) -> dict[str, str]:
        """Return the ETag of every object below `prefix`."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", [])}

    def table(self, key: str) -> PublishedTable:
        return PublishedTable(Bucket(self.bucket, session=boto3.Session(), client=self.s3), key)

    def published(self) -> dict[str, str]:
        """Return the ETag of everything that makes up the published state: logs and files of the tables, current.json."""
        files = {file for key in columns.TABLES for file in self.table(key).files()}
        everything = self.keys("tables/") | self.keys(layout.CURRENT_MODELS)
        return {
            key: etag for key, etag in everything.items() if key in files or "_delta_log/" in key or key.startswith("models/")
        }

    def current_pca(self) -> str:
        """Return the id of the current PCA."""
        return str(json.loads(self.read(layout.CURRENT_MODELS))["pca"]["model_id"])

    def clusters(self) -> list[dict[str, Any]]:
        return self.emr.list_clusters()["Clusters"]

    def cluster_of(self, ended: Ended) -> dict[str, Any]:
        (found,) = (cluster for cluster in self.clusters() if cluster["Name"] == f"fruits {ended.run}")
        return found


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The services, up for the session, with a second copy of fruits_features that is scheduled every minute (paused)."""
    state = tmp_path_factory.mktemp("state")
    dags = tmp_path_factory.mktemp("dags")
    source = (REPO / "dags" / f"{DAG}.py").read_text()
    for file in (REPO / "dags").glob("*.py"):
        shutil.copy(file, dags)
    daily = 'schedule=f"0 {DAILY_HOUR_UTC} * * *"'
    assert daily in source
    copy = source.replace(daily, 'schedule="* * * * *"').replace(f"{DAG}()", f"{EVERY_MINUTE}()")
    (dags / f"{EVERY_MINUTE}.py").write_text(copy)

    lineage = tmp_path_factory.mktemp("lineage")
    openlineage = lineage / "openlineage.yml"
    openlineage.write_text(f"transport: {{type: file, append: true, log_file_path: {lineage / 'events'}}}\n")
    changed = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__OPENLINEAGE__CONFIG_PATH": str(openlineage),
        "AIRFLOW__OPENLINEAGE__SPARK_INJECT_PARENT_JOB_INFO": "True",
    }
    patch = pytest.MonkeyPatch()
    settings = airflow.settings
    patch.setattr(airflow, "settings", lambda stack: settings(stack) | changed)
    environment = dict(os.environ)
    try:
        with services.session(Services.load(state)) as running:
            os.environ.update(running.env)
            boto3.setup_default_session()  # the one of earlier tests keeps their keys
            yield Stack(running, lineage=lineage / "events", dags=(DAG, EVERY_MINUTE))
    finally:
        os.environ.clear()
        os.environ.update(environment)
        boto3.setup_default_session()
        patch.undo()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Photos by variety, at least 75 of each: the real ones if present, else synthetic ones."""
    root = REAL_PHOTOS
    if not root.is_dir():
        root = tmp_path_factory.mktemp("synthetic")
        synthetic_photos.generate(root)
    return {folder.name: sorted(folder.glob("*.jpg")) for folder in sorted(root.iterdir()) if folder.is_dir()}


@pytest.fixture(scope="session")
def first(stack: Stack, photos, tmp_path_factory) -> Ended:
    """The first drop: 12 photos of each variety, those with reference features among them."""
    if REAL_PHOTOS.is_dir():
        keys = np.load(REAL_PHOTOS / "reference_features.npz")["keys"]
        chosen = {name: [REAL_PHOTOS / key for key in keys if key.startswith(f"{name}/")] for name in photos}
        chosen = {name: list(dict.fromkeys([*files, *photos[name]]))[:12] for name, files in chosen.items()}
    else:
        chosen = {name: files[:12] for name, files in photos.items()}
    stack.upload(arrange(tmp_path_factory.mktemp("first"), chosen), "first")
    assert not stack.published(), "the first drop must find an empty bucket; a test that publishes must ask for this fixture"
    return stack.run("first")


def arrange(folder: Path, photos: dict[str, Sequence[Path]]) -> Path:
    """Copy photos into a folder-per-variety tree and return it."""
    for variety, files in photos.items():
        (folder / variety).mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(file, folder / variety / file.name)
    return folder
