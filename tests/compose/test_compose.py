"""docker-compose's services, really built and started: runs end to end, each service killed in turn, down and up again."""

import io
import json
from pathlib import Path

import boto3
import httpx
import numpy as np
import pytest
from boto3.s3.transfer import TransferConfig

from fruits.engines import open_engine
from fruits.vision import decode
from fruits_contract import layout
from infra.stacks import Deployment, stacks
from local import REPO
from local.waiting import wait_until
from release.extractor import Extractor
from tests.compose.composed import DAG, SERVICES, Composed
from tests.e2e.embedded_stack import arrange

pytestmark = [pytest.mark.slow, pytest.mark.compose]
FIRST = 12  # photos per variety of the first drop
PER_VARIETY = 20  # of the further ones
BROKEN = {"empty.jpg": b"", "page.jpg": b"<html>not found</html>"}


@pytest.fixture(scope="module")
def first(composed: Composed, photos, tmp_path_factory) -> dict[str, str]:
    """The first drop, brought in by `make compose-run` as a person does it: its folder, its run, what was printed."""
    folder = arrange(tmp_path_factory.mktemp("photos"), {name: files[:FIRST] for name, files in photos.items()})
    for name, content in BROKEN.items():
        (folder / next(iter(photos)) / name).write_bytes(content)
    printed = composed.make("compose-run", IMAGES=str(folder), DROP="first", PARAMS='{"max_reject_ratio": 0.5}', TRAIN="1")
    (run,) = (word.rsplit("/", 1)[1] for word in printed.split() if f"/dags/{DAG}/runs/" in word)
    return {"folder": str(folder), "run": run, "printed": printed}


def test_the_file_is_clean(composed: Composed) -> None:
    assert composed.compose("config", "--quiet") == ""


def test_a_folder_becomes_published_tables_and_a_report_on_disk(composed: Composed, first, photos) -> None:
    assert len(composed.rows(layout.FEATURES_TABLE, "path", drop="first")["path"]) == FIRST * len(photos)
    report = REPO / "out" / layout.run_name(first["run"]) / "report" / "index.html"
    assert str(report) in first["printed"]
    assert "<html" in report.read_text()


def test_the_results_are_those_of_the_engine_in_this_process(composed: Composed, first, extractor: Extractor) -> None:
    name = composed.manifest(first["run"], "featurize")["digests"]["engine"].split("-")[0]
    engine = open_engine(name, extractor.path().read_bytes())
    rows = composed.rows(layout.FEATURES_TABLE, "path", "features", drop="first")
    files = [Path(first["folder"]) / path.removeprefix(layout.raw_prefix("first")) for path in rows["path"]]
    found = np.array(rows["features"])
    expected = np.concatenate([engine.features(decode(file.read_bytes())[0][None]) for file in files])
    assert np.abs(found - expected).max() <= 1e-6
    rejects = composed.rows(layout.REJECTS_TABLE, "path", drop="first")["path"]
    assert {path.rsplit("/", 1)[1] for path in rejects} == set(BROKEN)
    singular = np.linalg.svd(found - found.mean(axis=0), compute_uv=False) ** 2
    k = int(np.searchsorted(np.cumsum(singular) / singular.sum(), 0.70)) + 1
    assert {len(row) for row in composed.rows(layout.PROJECTED_TABLE, "projected", drop="first")["projected"]} == {k}


def test_the_service_answers_with_the_classifier_that_was_trained(composed: Composed, first, photos) -> None:
    assert wait_until(composed.is_serving, timeout_s=60, every_s=1)
    variety, files = next(iter(photos.items()))
    answer = httpx.post(f"{composed.serving_url}/predict", files={"photo": files[0].read_bytes()}, timeout=30).json()
    assert answer["variety"]["name"] == variety
    assert httpx.get(f"{composed.serving_url}/ready").json()["classifier"] == answer["models"]["classifier"]
    assert f"classifier         {answer['models']['classifier']}" in first["printed"]
    assert "card.html" in first["printed"]


def test_no_process_is_root_and_no_port_is_open_beyond_loopback(composed: Composed, first) -> None:
    for service, container in composed.containers().items():
        known = json.loads(composed.docker("inspect", container))[0]
        bound = [each["HostIp"] for binding in (known["NetworkSettings"]["Ports"] or {}).values() for each in binding or []]
        assert set(bound) <= {"127.0.0.1"}, service
        if known["State"]["Running"]:
            users = {line.split()[0] for line in composed.docker("top", container, "-eo", "uid,pid,comm").splitlines()[1:]}
            assert users and "0" not in users, service
        assert known["HostConfig"]["Privileged"] is False
        assert known["HostConfig"]["CapDrop"] == ["ALL"]
        assert known["Config"].get("Healthcheck") or service == "init"
    assert bound_services(composed) == {"localstack", "airflow-api-server", "serving"}


def bound_services(composed: Composed) -> set[str]:
    lines = composed.compose("ps", "--format", "{{.Service}} {{.Ports}}").splitlines()
    return {line.split()[0] for line in lines if "127.0.0.1:" in line}


def versions(composed: Composed) -> list[tuple[object, ...]]:
    """Everything that S3 says of every version of every key."""
    pages = boto3.client("s3").get_paginator("list_object_versions").paginate(Bucket=composed.bucket)
    found = [item for page in pages for item in page.get("Versions", []) + page.get("DeleteMarkers", [])]
    names = ("Key", "VersionId", "IsLatest", "LastModified", "ETag", "Size")
    return sorted(tuple(item.get(name) for name in names) for item in found)


def settings_of(s3, bucket: str) -> list[object]:
    return [
        s3.get_bucket_versioning(Bucket=bucket)["Status"],
        s3.get_bucket_policy(Bucket=bucket)["Policy"],
        s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"],
    ]


def test_every_version_of_every_object_outlives_localstack(composed: Composed, first) -> None:
    s3, bucket = boto3.client("s3"), composed.bucket
    for content in (b"first", b"second"):
        s3.put_object(Bucket=bucket, Key="kept/twice", Body=content)
    s3.copy_object(Bucket=bucket, Key="kept/copy", CopySource={"Bucket": bucket, "Key": "kept/twice"})
    for key in ("kept/gone", "kept/gone-with-others"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"gone")
    s3.delete_object(Bucket=bucket, Key="kept/gone")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "kept/gone-with-others"}]})
    large = bytes(range(256)) * 40_000
    s3.upload_fileobj(io.BytesIO(large), bucket, "kept/parts", Config=TransferConfig(multipart_threshold=6_000_000))
    settings = settings_of(s3, bucket)
    before = versions(composed)
    assert len(before) == len(set(before)) and any(not item[2] for item in before)

    composed.kill("localstack")

    assert composed.patient(lambda: versions(composed)) == before
    assert settings_of(s3, bucket) == settings
    assert s3.get_object(Bucket=bucket, Key="kept/parts")["Body"].read() == large
    assert s3.get_object(Bucket=bucket, Key="kept/copy")["Body"].read() == b"second"
    assert composed.rows(layout.FEATURES_TABLE, "path", drop="first")["path"]


KILLED = (
    ("airflow-api-server", "airflow-dag-processor", "airflow-triggerer", "postgres", "airflow-scheduler"),
    ("emr",),
    ("serving", "localstack"),
)


@pytest.mark.separate  # nine minutes; make test-compose
@pytest.mark.parametrize("killed", KILLED, ids=lambda names: names[-1])
def test_services_killed_during_a_run_lose_nothing(composed: Composed, first, photos, tmp_path, killed) -> None:
    """The run becomes a success, or fails and the same drop succeeds once more; what was published before is still there.

    Each is a further drop, which is transformed with the PCA that the first one saved.
    """
    drop = f"killed-{killed[-1]}"
    before = sorted(composed.rows(layout.FEATURES_TABLE, "path")["path"])
    composed.upload(arrange(tmp_path, {name: files[:PER_VARIETY] for name, files in photos.items()}), drop)
    run = composed.api.trigger(DAG, {"drop": drop})
    assert wait_until(lambda: composed.state(run, "featurize") in ("running", "deferred"), timeout_s=120, every_s=1)
    for service in killed:
        assert not composed.now(run).is_over
        composed.kill(service)

    ended = composed.wait(run)
    if ended.state == "failed":
        composed.patient(lambda: composed.api.has_dag(DAG))
        ended = composed.run(drop)

    states = {task.task: task.state for task in ended.tasks}
    assert ended.state == "success", states
    assert states["fit_pca"] == "skipped"
    assert set(composed.rows(layout.PROJECTED_TABLE, "pca")["pca"]) == {layout.run_name(first["run"])}
    after = composed.rows(layout.FEATURES_TABLE, "path", "drop")
    assert sorted(path for path, of in zip(after["path"], after["drop"], strict=True) if of != drop) == before
    assert after["drop"].count(drop) == PER_VARIETY * len(photos)
    assert wait_until(composed.is_serving, timeout_s=60, every_s=1)


def test_every_service_is_killed_once() -> None:
    assert sorted(name for names in KILLED for name in names) == sorted(SERVICES)


def test_down_and_up_again_keep_photos_results_and_history(composed: Composed, first) -> None:
    tables = {
        key: sorted(composed.rows(key, "path")["path"])
        for key in (layout.FEATURES_TABLE, layout.PROJECTED_TABLE, layout.REJECTS_TABLE)
    }
    composed.make("compose-down")
    assert composed.compose("ps", "--all", "--quiet") == ""

    composed.make("compose-up")

    assert {key: sorted(composed.rows(key, "path")["path"]) for key in tables} == tables
    assert composed.now(first["run"]).state == "success"
    again = composed.run("first")
    assert {task.task: task.state for task in again.tasks}["create_cluster"] == "skipped", "the photos are known"


def test_the_daily_run_is_on_the_schedule(composed: Composed, first) -> None:
    known = composed.api.request("GET", f"/dags/{DAG}/details")
    assert known["timetable_summary"] == "0 3 * * *"
    assert known["is_paused"] is False
    assert known["next_dagrun_run_after"]


def test_the_variable_is_of_the_stacks_and_undeploy_leaves_nothing(composed: Composed) -> None:
    """The last test of this module: the services have no bucket afterwards."""
    to = {"STACK": "fruits", "REGION": "eu-north-1", "YES": "1", "BUCKET": composed.bucket, "EMAIL": "nobody@example.org"}
    printed = composed.make("deploy", **to, AWS_ENDPOINT_URL=composed.s3_url)
    assert printed.count(": no changes") == len(list(stacks(Deployment(stack="fruits", region="eu-north-1"))))
    assert "in the bucket already, nothing uploaded" in printed
    variable = json.loads(composed.api.request("GET", "/variables/fruits")["value"])
    deployed = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])
    assert deployed.items() <= variable.items()

    undeploy = ("python", "-m", "infra", "undeploy", "--stack", "fruits", "--region", "eu-north-1", "--data", "delete", "--yes")
    composed.compose("run", "--rm", "run", *undeploy, "--bucket", composed.bucket)
    assert boto3.client("s3").list_buckets()["Buckets"] == []
    cloudformation = boto3.client("cloudformation", endpoint_url=composed.s3_url)
    assert {stack["StackStatus"] for stack in cloudformation.describe_stacks()["Stacks"]} <= {"DELETE_COMPLETE"}
