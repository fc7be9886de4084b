"""After an erasure no byte of the bucket has the photo, its id or the contributor's hash; everything else is as it was."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from deltalake import DeltaTable
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.erasure import table_rows
from fruits_airflow.erasure.certificate import read_certificate
from fruits_airflow.erasure.erase import Outcome, erase_contributions
from fruits_airflow.erasure.requests import write_request
from fruits_airflow.maintenance import maintain_tables
from fruits_airflow.publishing import publish_run
from fruits_airflow.run_rollback import CannotRollBackRun, roll_back_run
from fruits_airflow.settings import Settings
from fruits_airflow.tables import PublishedTable
from fruits_contract import columns, layout
from fruits_contract.contributions import ACCEPTED
from tests.fixtures.contributed_drop import (
    ANNA,
    BEN,
    DROP,
    Contributed,
    Photo,
    contribute,
    erase,
    needles,
    places_of,
    plan_contributed,
)
from tests.fixtures.published_run import (
    add_photos,
    features_row,
    plan,
    projected_on_current_pca,
    published,
    run_stages,
    write_rows,
)

pytestmark = pytest.mark.slow


def other_rows(bucket: Bucket, *photos: Photo) -> dict[str, list[str]]:
    """Return all rows of the tables but those of some photos."""
    erased = {photo.key for photo in photos}
    return {
        key: sorted(
            str(row)
            for row in PublishedTable(bucket, key).rows(*table.columns, *table.partitions).to_pylist()
            if row["path"] not in erased
        )
        for key, table in columns.TABLES.items()
    }


def test_nothing_of_a_contributor_is_left(versioned_bucket: Bucket, contributed: Contributed, s3: S3Client, now: Any) -> None:
    bucket = versioned_bucket
    before = other_rows(bucket, *contributed.annas)
    assert len(places_of(bucket, s3, [ANNA, *needles(*contributed.annas)])) > 20, "the search finds them"
    outcome = erase(bucket, now, contributor=ANNA)
    assert outcome == Outcome(done=1, needs_training=True)
    assert places_of(bucket, s3, [ANNA, *needles(*contributed.annas)]) == []
    assert other_rows(bucket) == before
    assert places_of(bucket, s3, [contributed.bens.content, BEN])
    assert projected_on_current_pca(bucket) == published(bucket)["features"]


def test_one_contribution_goes_and_the_others_stay(bucket: Bucket, contributed: Contributed, s3: S3Client, now: Any) -> None:
    before = other_rows(bucket, contributed.published)
    erase(bucket, now, contribution=contributed.published.contribution)
    assert places_of(bucket, s3, needles(contributed.published)) == []
    assert other_rows(bucket) == before
    assert places_of(bucket, s3, needles(contributed.unreadable, contributed.queued))


def test_the_text_of_outputs_keeps_its_other_lines(bucket: Bucket, contributed: Contributed, s3: S3Client, now: Any) -> None:
    erase(bucket, now, contributor=ANNA)
    lines = bucket.read(layout.final_features("r1")).decode().split("\r\n")
    assert lines == ["path,Apple,0.1", f"{contributed.bens.key},Apple,0.1", f"raw/{DROP}/Apple/0.jpg,Apple,0.1", ""]
    assert "contributed-erased.jpg" in bucket.read(layout.report_page("r1")).decode()
    assert [item.key for item in bucket.objects("logs/")] == [layout.step_log("j-r1", "s-1", "stdout")]


def test_twice_is_harmless_and_said_in_the_certificate(bucket: Bucket, contributed: Contributed, s3: S3Client, now: Any) -> None:
    contribution = contributed.published.contribution
    erase(bucket, now, contribution=contribution)
    first = read_certificate(bucket, contribution)["erasures"]
    before = other_rows(bucket)
    assert erase(bucket, now.replace(year=2027), contribution=contribution) == Outcome(done=1)
    again = read_certificate(bucket, contribution)["erasures"]
    assert again[1:] == first
    assert again[0]["removed"] == {}
    assert "Nothing was found" in bucket.read(layout.erasure_certificate_page(contribution)).decode()
    assert other_rows(bucket) == before


def test_the_certificate_counts_and_names_no_contributor(
    bucket: Bucket, contributed: Contributed, s3: S3Client, now: Any
) -> None:
    request = write_request(bucket, contributor=ANNA, now=now).request
    erase_contributions(bucket, is_run_under_way=lambda: False)
    (erasure,) = read_certificate(bucket, request)["erasures"]
    removed = erasure["removed"]
    assert erasure["contributions"] == 3
    assert removed["photos in drops"] == 2
    assert removed["photos waiting for review"] == 1
    assert removed["records of consent and review"] == 3
    assert removed["rows of tables/features"] == 1
    assert removed["rows of tables/rejects"] == 1
    assert removed["rows of tables/projected"] == 2, "on two PCAs"
    assert removed["outputs of runs: final_features.csv"] == 1
    assert erasure["models"] == {"pca": ["r1", "r2", "r4"], "classifier": ["c1"]}
    for key in (layout.erasure_certificate(request), layout.erasure_certificate_page(request)):
        text = bucket.read(key).decode()
        assert not [needle for needle in (ANNA, *(photo.contribution for photo in contributed.annas)) if needle in text]
    assert list(bucket.objects(layout.ERASURE_REQUESTS)) == []


def test_a_photo_in_the_queue_needs_no_training(bucket: Bucket, contributed: Contributed, s3: S3Client, now: Any) -> None:
    outcome = erase(bucket, now, contribution=contributed.queued.contribution)
    assert outcome == Outcome(done=1, needs_training=False)
    assert places_of(bucket, s3, needles(contributed.queued)) == []


def test_without_a_request_nothing_is_listed(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bucket, "versions", lambda *_: pytest.fail("listed"))
    assert erase_contributions(bucket, is_run_under_way=lambda: True) == Outcome()


@pytest.mark.parametrize("last_step", ["planned", "featurized", "rolled back"])
def test_a_photo_of_a_run_that_was_not_published_is_found_without_its_record(
    versioned_bucket: Bucket, deployment: Settings, s3: S3Client, now: Any, last_step: str
) -> None:
    bucket = versioned_bucket
    photo = Photo.of(ANNA)
    contribute(bucket, photo, state=ACCEPTED)
    params = plan(bucket, deployment, "r1", DROP)
    if last_step != "planned":
        run_stages(bucket, params)
    if last_step == "rolled back":
        publish_run(bucket, params)
        roll_back_run(bucket, "r1")
    for key_of in (layout.contribution_record, layout.contribution_claim):
        bucket.erase(key_of(photo.contribution))
    bucket.erase(photo.key)
    assert layout.batch("r1") in places_of(bucket, s3, [ANNA])
    request = write_request(bucket, contributor=ANNA, now=now).request
    assert erase_contributions(bucket, is_run_under_way=lambda: False).done == 1
    assert places_of(bucket, s3, [ANNA, photo.contribution]) == []
    (erasure,) = read_certificate(bucket, request)["erasures"]
    assert (erasure["contributions"], erasure["removed"]["outputs of runs: batch.parquet"]) == (1, 1)
    assert erasure["models"] == {"pca": ["r1"], "classifier": []}, "the run may have fitted one"


def test_two_requests_for_one_contributor_are_both_certified(bucket: Bucket, contributed: Contributed, now: Any) -> None:
    requests = [write_request(bucket, contributor=ANNA, now=now).request for _ in range(2)]
    assert erase_contributions(bucket, is_run_under_way=lambda: False).done == 2
    first, second = [read_certificate(bucket, request)["erasures"][0] for request in requests]
    assert first["contributions"] == 3
    assert (first["contributions"], first["removed"]) == (second["contributions"], second["removed"])


def test_lists_of_photos_without_contributors_or_damaged_ones_stop_no_erasure(
    bucket: Bucket, contributed: Contributed, now: Any
) -> None:
    without = {name: kind for name, kind in columns.BATCH.items() if name != "contributor"}
    write_rows(bucket, layout.batch("earlier"), [dict.fromkeys(without)], without)
    bucket.write(layout.batch("damaged"), b"no Parquet")
    assert erase(bucket, now, contributor=ANNA).done == 1


# ---- runs under way


def test_it_waits_for_a_run_and_erases_what_the_run_has_written(
    bucket: Bucket, contributed: Contributed, deployment: Settings, s3: S3Client, now: Any
) -> None:
    late = Photo.of(ANNA)
    contribute(bucket, late, state=ACCEPTED)
    params = plan_contributed(bucket, deployment, "r5", [late])
    outcome = erase(bucket, now, is_run_under_way=lambda: True, contributor=ANNA)
    assert outcome == Outcome(waiting=1)
    assert places_of(bucket, s3, [late.content, contributed.queued.content]) == [], "the photos themselves do not wait"
    run_stages(bucket, params)
    publish_run(bucket, params)
    assert f"{DROP}/Apple/{late.key.rpartition('/')[2]}" in published(bucket)["features"]
    assert erase_contributions(bucket, is_run_under_way=lambda: False).done == 1
    assert places_of(bucket, s3, [ANNA, *needles(late, *contributed.annas)]) == []


def test_a_run_that_was_planned_meanwhile_keeps_the_request(
    bucket: Bucket, contributed: Contributed, s3: S3Client, now: Any
) -> None:
    answers = iter([False, True])
    outcome = erase(bucket, now, is_run_under_way=lambda: next(answers), contributor=ANNA)
    assert outcome == Outcome(waiting=1)
    assert list(bucket.objects(layout.ERASURE_CERTIFICATES)) == []
    assert erase_contributions(bucket, is_run_under_way=lambda: False) == Outcome(done=1, needs_training=True)


def test_a_fit_that_was_planned_before_is_refused(
    bucket: Bucket, contributed: Contributed, deployment: Settings, s3: S3Client, now: Any
) -> None:
    params = plan(bucket, deployment, "r5", "other", mode="fit")
    run_stages(bucket, params)
    erase(bucket, now, contributor=ANNA)
    with pytest.raises(AirflowFailException):
        publish_run(bucket, params)


def test_a_rollback_does_not_bring_it_back(
    bucket: Bucket, contributed: Contributed, deployment: Settings, s3: S3Client, now: Any
) -> None:
    erase(bucket, now, contributor=ANNA)
    with pytest.raises(CannotRollBackRun, match="contributed photos were erased from tables/features after r3"):
        roll_back_run(bucket, "r3")


def test_runs_go_on_after_an_erasure(
    bucket: Bucket, contributed: Contributed, deployment: Settings, s3: S3Client, now: Any
) -> None:
    erase(bucket, now, contributor=ANNA)
    add_photos(s3, bucket, "other", ["Pear/1.jpg"])
    params = plan(bucket, deployment, "r5", "other", mode="fit")
    run_stages(bucket, params)
    publish_run(bucket, params)
    assert projected_on_current_pca(bucket) == published(bucket)["features"]
    roll_back_run(bucket, "r5")
    assert projected_on_current_pca(bucket) == published(bucket)["features"]


# ---- compaction


def test_a_compaction_copies_no_path_into_the_log(bucket: Bucket, s3: S3Client, now: Any) -> None:
    photos = [Photo.of(ANNA), Photo.of(ANNA), Photo.of(BEN)]
    files = []
    for part, photo in enumerate(photos):
        contribute(bucket, photo, state=ACCEPTED)
        row = features_row({"path": photo.key, "etag": "e", "label": "Apple", "contributor": photo.contributor})
        files.append(write_rows(bucket, f"{layout.features_part(DROP, 'r1')}part-{part}.parquet", [row], columns.FEATURES))
    table = PublishedTable(bucket, layout.FEATURES_TABLE)
    table.publish(files, run="r1")
    assert maintain_tables(bucket)[0].compacted == 3
    found = places_of(bucket, s3, [ANNA, BEN, *needles(*photos)])
    assert table.files()[0] in found, "the search finds them in a compacted file"
    assert not [key for key in found if "/_delta_log/" in key]
    erase(bucket, now, contributor=ANNA)
    assert places_of(bucket, s3, [ANNA, *needles(*photos[:2])]) == []
    assert table.rows("path")["path"].to_pylist() == [photos[2].key]


# ---- failures


def test_a_commit_has_keys_that_are_newer_than_the_rewritten_files(
    bucket: Bucket, contributed: Contributed, now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def recorded(name: str, really: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **how: Any) -> Any:
            calls.append(name)
            return really(*arguments, **how)

        return call

    monkeypatch.setattr(Bucket, "table_options", recorded("keys", Bucket.table_options))
    monkeypatch.setattr(table_rows, "rewrite_without", recorded("rewritten", table_rows.rewrite_without))
    monkeypatch.setattr(DeltaTable, "create_write_transaction", recorded("committed", DeltaTable.create_write_transaction))
    erase(bucket, now, contributor=ANNA)
    assert re.fullmatch("((keys )+(rewritten )+keys committed )+(keys )*", " ".join(calls) + " "), calls
