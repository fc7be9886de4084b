"""A classifier becomes current when it is not worse, once, and only in place of the one that it was compared with; and back."""

import json
import os
import re
from unittest.mock import Mock

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from botocore.exceptions import ClientError

from fruits_airflow import rollback
from fruits_airflow.bucket import Bucket
from fruits_airflow.current import make_current, read_current
from fruits_airflow.promotion import promote_run
from fruits_airflow.rollback import CannotRollBack, roll_back
from fruits_contract import layout
from fruits_contract.classifier_pipeline import EVALUATE_CLASSIFIER, ClassifierRunParams
from fruits_contract.manifest import Finding, Manifest

pytestmark = pytest.mark.slow

EXTRACTOR = "e" * 64
IF_NOT_WORSE = "if_not_worse"


def evaluated(bucket: Bucket, run: str, model_id: str, *, current: str = "", red: bool = False) -> ClassifierRunParams:
    """Leave behind what the stages of a run do, and return the run's parameters."""
    severity = "red" if red else "info"
    manifest = Manifest(
        stage=EVALUATE_CLASSIFIER.name,
        run=run,
        started_at="2026-11-24T03:00:00+00:00",
        seconds=1.0,
        figures={"metrics": {"variety_accuracy": 0.9}},
        digests={"classifier": model_id, "extractor": EXTRACTOR},
        findings=(Finding("not_worse", severity, "variety_accuracy 0.8 instead of 0.9"),),
    )
    bucket.write(layout.manifest(run, EVALUATE_CLASSIFIER.name), manifest.to_json().encode())
    bucket.write(layout.classifier_card(model_id), json.dumps({"extractor": EXTRACTOR, "run": run}).encode())
    return ClassifierRunParams(bucket=bucket.name, run=run, release="v1", extractor=EXTRACTOR, current=current)


def test_the_first_classifier_becomes_current_and_twice_is_once(bucket: Bucket) -> None:
    params = evaluated(bucket, "r1", "c1")
    assert promote_run(bucket, params, promotion=IF_NOT_WORSE) == {"classifier": "c1", "run": "r1"}
    entry = {"model_id": "c1", "extractor": EXTRACTOR, "run": "r1", "previous": ""}
    assert read_current(bucket).classifier == entry
    promote_run(bucket, params, promotion=IF_NOT_WORSE)
    assert read_current(bucket).classifier == entry


def test_the_pca_entry_is_kept(bucket: Bucket) -> None:
    make_current(bucket, kind="pca", model={"model_id": "p1", "extractor": EXTRACTOR, "run": "r0"})
    promote_run(bucket, evaluated(bucket, "r1", "c1"), promotion=IF_NOT_WORSE)
    assert read_current(bucket).pca_of(EXTRACTOR) == "p1"
    assert read_current(bucket).classifier_of(EXTRACTOR) == "c1"
    assert read_current(bucket).classifier_of("f" * 64) == ""


def test_a_worse_classifier_is_not_promoted(bucket: Bucket) -> None:
    promote_run(bucket, evaluated(bucket, "r1", "c1"), promotion=IF_NOT_WORSE)
    with pytest.raises(AirflowSkipException, match="not promoted: variety_accuracy"):
        promote_run(bucket, evaluated(bucket, "r2", "c2", current="c1", red=True), promotion=IF_NOT_WORSE)
    assert read_current(bucket).classifier_of(EXTRACTOR) == "c1"


def test_promotion_never_only_evaluates(bucket: Bucket) -> None:
    with pytest.raises(AirflowSkipException, match="promotion=never"):
        promote_run(bucket, evaluated(bucket, "r1", "c1"), promotion="never")
    assert read_current(bucket).classifier == {}


def test_a_classifier_that_was_compared_with_another_one_is_refused(bucket: Bucket) -> None:
    late = evaluated(bucket, "r2", "c2", current="")
    promote_run(bucket, evaluated(bucket, "r1", "c1"), promotion=IF_NOT_WORSE)
    with pytest.raises(AirflowFailException, match="classifier c1 is current instead of none, since this run was planned"):
        promote_run(bucket, late, promotion=IF_NOT_WORSE)
    assert read_current(bucket).classifier_of(EXTRACTOR) == "c1"


def test_a_classifier_of_another_extractor_is_replaced(bucket: Bucket) -> None:
    make_current(bucket, kind="classifier", model={"model_id": "old", "extractor": "f" * 64, "run": "r0", "previous": ""})
    promote_run(bucket, evaluated(bucket, "r1", "c1"), promotion=IF_NOT_WORSE)
    assert read_current(bucket).classifier["previous"] == "old"


@pytest.fixture
def two_promoted(bucket: Bucket) -> Bucket:
    promote_run(bucket, evaluated(bucket, "r1", "c1"), promotion=IF_NOT_WORSE)
    promote_run(bucket, evaluated(bucket, "r2", "c2", current="c1"), promotion=IF_NOT_WORSE)
    return bucket


def test_a_rollback_returns_to_the_classifier_before_and_back_again(two_promoted: Bucket) -> None:
    assert roll_back(two_promoted) == ("c2", "c1")
    assert read_current(two_promoted).classifier == {"model_id": "c1", "extractor": EXTRACTOR, "run": "r1", "previous": "c2"}
    assert roll_back(two_promoted, to="c1") == ("c1", "c1")
    assert roll_back(two_promoted) == ("c1", "c2")


def test_what_cannot_be_rolled_back_to_is_refused(bucket: Bucket) -> None:
    with pytest.raises(CannotRollBack, match="no classifier is current"):
        roll_back(bucket)
    promote_run(bucket, evaluated(bucket, "r1", "c1"), promotion=IF_NOT_WORSE)
    with pytest.raises(CannotRollBack, match=r"c1 is the first one; name another one with MODEL=id \(--to\); existing: c1"):
        roll_back(bucket)
    with pytest.raises(CannotRollBack, match="there is no classifier c9; existing: c1"):
        roll_back(bucket, to="c9")
    bucket.write(layout.classifier_card("other"), json.dumps({"extractor": "f" * 64, "run": "r0"}).encode())
    with pytest.raises(CannotRollBack, match="reads features of extractor ffffffffffff"):
        roll_back(bucket, to="other")
    assert read_current(bucket).classifier_of(EXTRACTOR) == "c1"


def test_the_command_needs_no_airflow(two_promoted: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    assert rollback.main(["--bucket", two_promoted.name]) == 0
    assert "classifier c1 is current, instead of c2" in capsys.readouterr().out
    assert rollback.main(["--bucket", two_promoted.name, "--to", "c9"]) == 1
    assert "existing: c1, c2" in capsys.readouterr().err


def test_a_refusal_of_s3_is_one_line(bucket: Bucket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no ListBucket"}}, "ListObjectsV2")
    monkeypatch.setattr(rollback, "roll_back", Mock(side_effect=denied))
    assert rollback.main(["--bucket", bucket.name]) == 1
    shown = capsys.readouterr().err
    assert "no ListBucket" in shown and len(shown.splitlines()) == 1


def test_the_command_says_how_to_reach_the_bucket_on_one_machine(
    bucket: Bucket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")  # no server
    assert rollback.main(["--bucket", bucket.name]) == 1
    assert re.search(r"cannot be accessed: .*make up, then eval", capsys.readouterr().err)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    assert rollback.main(["--bucket", bucket.name]) == 1
    assert re.search(r"no AWS credentials for s3://.*make up, then eval", capsys.readouterr().err)
