"""validate writes its findings and the counts of the run into its manifest."""

import pytest

from fruits_contract.features_pipeline import VALIDATE
from tests.spark_apps.conftest import Run

pytestmark = [pytest.mark.slow, pytest.mark.spark4]


def test_a_good_run_has_no_red_finding(run: Run) -> None:
    manifest = run.manifest(VALIDATE)
    assert manifest.red == ()
    (finding,) = manifest.findings
    assert (finding.check, finding.severity) == ("reject_ratio", "info")
    assert finding.message.startswith(f"{len(run.broken)} of {run.photos} photos rejected (")


def test_the_manifest_repeats_the_counts(run: Run) -> None:
    manifest = run.manifest(VALIDATE)
    assert (manifest.rows_in, manifest.rows_out, manifest.rows_rejected) == (
        run.photos,
        run.readable,
        len(run.broken),
    )
    assert manifest.digests == {"pca": "r1", "extractor": run.params.extractor}
