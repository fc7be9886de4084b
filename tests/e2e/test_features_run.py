"""Whole runs of the DAG: what a drop of photos becomes, and what it must never become."""

import csv
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from fruits_contract import columns, layout
from tests.e2e.embedded_stack import EVERY_MINUTE, REAL_PHOTOS, arrange

pytestmark = [pytest.mark.slow, pytest.mark.e2e]


def test_a_first_drop_is_fitted_published_and_leaves_no_cluster(stack, first):
    assert first.state == "success"
    assert set(first.tasks.values()) == {"success"}
    batch = first.manifest("featurize")
    rows = list(csv.DictReader(io.StringIO(stack.read(layout.final_features(first.run)).decode())))
    assert batch["rows_in"] == len(stack.keys(layout.raw_prefix("first"))) - 1
    assert len(rows) + batch["rows_rejected"] == batch["rows_in"]
    assert stack.table(layout.FEATURES_TABLE).rows("path").num_rows == batch["rows_out"]
    assert stack.cluster_of(first)["Status"]["State"] == "TERMINATED"
    assert b'"model_id": "' + first.run.encode() in stack.read(layout.CURRENT_MODELS)


def test_the_logs_say_how_far_the_stages_are_while_they_run(stack, first):
    featurized = f"{first.manifest('featurize')['rows_in']:,}"
    log = first.log("featurize")
    assert f"featurizing: {featurized} of {featurized} photos in " in log
    assert re.search(r"cluster j-\w+ is (STARTING|BOOTSTRAPPING|RUNNING), \d+ s", log)
    assert " files of features" in first.log("fit_pca")
    assert "counting rows" in first.log("validate")


def test_the_cost_of_the_cluster_is_recorded_by_emrs_timeline(stack, first):
    recorded = first.manifest("record_cost")["figures"]
    cluster = stack.cluster_of(first)["Status"]["Timeline"]
    lived = (cluster["EndDateTime"] - cluster["CreationDateTime"]).total_seconds()
    assert [instance["market"] for instance in recorded["instances"]] == ["ON_DEMAND", "ON_DEMAND"]
    assert all(instance["seconds"] == pytest.approx(lived, abs=1) for instance in recorded["instances"])
    assert 0 < recorded["usd"] < recorded["expected_usd"], "no instance of EC2 has to start here"
    report = json.loads(stack.read(layout.report_data(first.run)))
    assert report["actual_usd"] == recorded["usd"]
    assert f"<!-- actual cost -->{recorded['usd']:.2f} USD" in stack.read(layout.report_page(first.run)).decode()


def test_published_features_equal_kerass_reference_features(stack, first):
    if not REAL_PHOTOS.is_dir():
        pytest.skip(f"no real photos at {REAL_PHOTOS}: nothing to compare with")
    reference = np.load(REAL_PHOTOS / "reference_features.npz")
    rows = stack.table(layout.FEATURES_TABLE).rows("path", "features", drop="first")
    features = dict(zip(rows["path"].to_pylist(), rows["features"].to_pylist(), strict=True))
    keys = [str(key) for key in reference["keys"] if f"raw/first/{key}" in features]
    assert len(keys) >= 50
    ours = np.array([features[f"raw/first/{key}"] for key in keys])
    theirs = reference["features"][[list(reference["keys"]).index(key) for key in keys]]
    cosine = (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert np.abs(ours - theirs).max() <= 1e-3
    assert cosine.min() >= 0.99999


def test_the_published_pca_equals_numpys_svd(stack, first):
    rows = stack.table(layout.FEATURES_TABLE).rows("features", drop="first")
    x = np.array(rows["features"].to_pylist(), dtype=np.float64)
    singular = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2
    with np.load(io.BytesIO(stack.read(layout.pca_arrays(first.run)))) as pca:
        shares = singular / singular.sum()
        np.testing.assert_allclose(pca["spectrum"][: len(shares)], shares, atol=1e-8)
        k = len(pca["components"])
    assert np.cumsum(shares)[k - 1] >= 0.70 > np.cumsum(shares)[k - 2]


def test_the_same_drop_again_ends_without_a_cluster(stack, first):
    before = len(stack.clusters())
    again = stack.run("first")
    assert again.state == "success"
    assert again.tasks["plan_batch"] == again.tasks["publish"] == again.tasks["featurize"] == "skipped"
    assert again.tasks["record_cost"] == "skipped"
    assert "Nothing new in drop first" in again.log("plan_batch")
    assert len(stack.clusters()) == before


def test_a_second_drop_is_transformed_with_the_first_pca(stack, first, photos, tmp_path):
    stack.upload(arrange(tmp_path, {name: files[40:46] for name, files in photos.items()}), "second")
    pointer = stack.read(layout.CURRENT_MODELS)
    second = stack.run("second")
    assert second.state == "success"
    assert second.tasks["fit_pca"] == "skipped"
    assert second.manifest("transform_pca")["digests"]["pca"] == first.run
    assert stack.read(layout.CURRENT_MODELS) == pointer
    assert set(stack.table(layout.PROJECTED_TABLE).rows("pca")["pca"].to_pylist()) == {first.run}


def test_added_photos_are_featurized_alone_and_a_changed_one_replaces_its_row(stack, first, photos, tmp_path):
    variety, files = next(iter(photos.items()))
    before = stack.table(layout.FEATURES_TABLE).rows("path", "etag", "features", drop="first")
    changed = sorted(path for path in before["path"].to_pylist() if f"/{variety}/" in path)[0]
    stack.s3.put_object(Bucket=stack.bucket, Key=changed, Body=files[60].read_bytes())
    stack.upload(arrange(tmp_path, {variety: files[50:60]}), "first")

    ended = stack.run("first")

    assert ended.state == "success"
    assert ended.manifest("featurize")["rows_in"] == 11
    after = stack.table(layout.FEATURES_TABLE).rows("path", "etag", "features", drop="first")
    assert after.num_rows == before.num_rows + 10
    assert len(set(after["path"].to_pylist())) == after.num_rows
    old, new = (dict(zip(rows["path"].to_pylist(), rows["etag"].to_pylist(), strict=True)) for rows in (before, after))
    assert [path for path in old if new[path] != old[path]] == [changed]
    projected = stack.table(layout.PROJECTED_TABLE).rows("path", pca=first.run, drop="first")["path"].to_pylist()
    assert sorted(projected) == sorted(after["path"].to_pylist())


BROKEN = (b"", b"<html>not found</html>", b"\xff\xd8\xff\xe0 no JPEG after all", b"GIF89a")


def with_broken(folder: Path, photos: dict[str, list[Path]], *, count: int) -> Path:
    """400 readable photos, and `count` broken ones of several kinds spread over the varieties."""
    per_variety = math.ceil(400 / len(photos))
    flat = [(name, file) for name, files in photos.items() for file in files[:per_variety]][:400]
    arrange(folder, {name: [file for variety, file in flat if variety == name] for name in photos})
    whole = flat[0][1].read_bytes()
    kinds = [*BROKEN, whole[: len(whole) // 2]]
    for number in range(count):
        (folder / flat[number * 9][0] / f"broken_{number}.jpg").write_bytes(kinds[number % len(kinds)])
    return folder


def test_a_few_broken_photos_are_rejected_with_reasons(stack, first, photos, tmp_path):
    stack.upload(with_broken(tmp_path, photos, count=20), "few-broken")
    ended = stack.run("few-broken")
    assert ended.state == "success"
    rejects = stack.table(layout.REJECTS_TABLE).rows("path", "reason", "detail", drop="few-broken")
    assert rejects.num_rows == 20
    assert set(rejects["reason"].to_pylist()) == {"empty", "not_an_image", "truncated"}
    assert all(rejects["detail"].to_pylist())
    assert stack.table(layout.FEATURES_TABLE).rows("path", drop="few-broken").num_rows == 400
    page = stack.read(layout.report_page(ended.run)).decode()
    assert "not_an_image" in page

    clusters = len(stack.clusters())
    again = stack.run("few-broken")
    assert again.tasks["plan_batch"] == "skipped", "known rejects must not start a cluster again"
    assert len(stack.clusters()) == clusters

    # One broken photo is repaired, one good one breaks: each moves to the other table.
    repaired = rejects["path"].to_pylist()[0]
    spoilt = stack.table(layout.FEATURES_TABLE).rows("path", drop="few-broken")["path"].to_pylist()[0]
    stack.s3.put_object(Bucket=stack.bucket, Key=repaired, Body=next(iter(photos.values()))[60].read_bytes())
    stack.s3.put_object(Bucket=stack.bucket, Key=spoilt, Body=b"spoilt")
    assert stack.run("few-broken", max_reject_ratio=0.5).state == "success"
    now = {key: stack.table(key).rows("path", drop="few-broken")["path"].to_pylist() for key in columns.TABLES}
    assert sorted(now[layout.FEATURES_TABLE]) == sorted(now[layout.PROJECTED_TABLE])
    assert len(now[layout.FEATURES_TABLE]) == 400 and len(now[layout.REJECTS_TABLE]) == 20
    assert repaired in now[layout.FEATURES_TABLE] and spoilt in now[layout.REJECTS_TABLE]


def test_too_many_broken_photos_publish_nothing(stack, first, photos, tmp_path):
    stack.upload(with_broken(tmp_path, photos, count=40), "many-broken")
    before = stack.published()
    ended = stack.run("many-broken")
    assert ended.state == "failed"
    assert ended.tasks["publish"] == "failed"
    assert ended.tasks["terminate_cluster"] == "success"
    assert "reject_ratio: 40 of 440 photos rejected" in ended.log("publish")
    assert "reject_ratio" in ended.log("validate")
    assert stack.published() == before
    assert stack.cluster_of(ended)["Status"]["State"] == "TERMINATED"


def test_a_step_that_fails_says_why_and_the_same_drop_succeeds_after_repair(stack, first, photos, tmp_path):
    stack.upload(arrange(tmp_path, {name: files[66:70] for name, files in photos.items()}), "repaired")
    stack.change_release("broken", "transform_pca", first_lines='raise RuntimeError("the belt is jammed")')
    before = stack.published()

    ended = stack.run("repaired", release="broken")

    assert ended.state == "failed"
    assert ended.tasks["transform_pca"] == "failed"
    assert ended.tasks["publish"] == "upstream_failed"
    log = ended.log("transform_pca")
    assert "Traceback (most recent call last)" in log
    assert "RuntimeError: the belt is jammed" in log
    assert stack.cluster_of(ended)["Status"]["State"] == "TERMINATED"
    assert stack.published() == before

    assert stack.run("repaired").state == "success"
    assert stack.table(layout.FEATURES_TABLE).rows("path", drop="repaired").num_rows == 4 * len(photos)


def test_a_release_that_is_not_there_is_named_before_a_cluster_starts(stack, first):
    clusters = len(stack.clusters())
    ended = stack.run("first", release="never-built", mode="fit")
    assert ended.state == "failed"
    assert f"release 'never-built' is not in s3://{stack.bucket}/code/" in ended.log("plan_batch")
    assert len(stack.clusters()) == clusters


def test_a_scheduled_run_whose_drop_never_comes_is_skipped(stack, first):
    clusters = len(stack.clusters())
    stack.deploy(wait_for_drop_s=5)
    stack.pause(EVERY_MINUTE, is_paused=False)
    try:
        dag_run_id = stack.next_run(EVERY_MINUTE)
        ended = stack.wait(EVERY_MINUTE, dag_run_id)
    finally:
        stack.pause(EVERY_MINUTE, is_paused=True)
        stack.deploy()
    assert dag_run_id.startswith("scheduled__")
    assert ended.state == "success"
    assert {task for task, state in ended.tasks.items() if state != "skipped"} == {"fail_if_aborted"}
    assert "has not arrived in the waiting time" in ended.log("wait_for_drop")
    assert len(stack.clusters()) == clusters
