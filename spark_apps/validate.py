"""validate: decides whether the run may be published; the verdict is in the manifest's findings, not in the exit code."""

import sys
from functools import partial

from fruits import checks
from fruits.job_progress import show_progress
from fruits.row_counts import count_rows, find_duplicates
from fruits.saved_pca import read_card
from fruits.stage_run import StageRun
from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURIZE, TRANSFORM_PCA, VALIDATE, FeaturesRunParams
from fruits_contract.manifest import WrittenFile


def main(argv: list[str]) -> None:
    """Run the stage; argv is `RunParams.to_argv()`."""
    run = StageRun.begin(VALIDATE, argv, FeaturesRunParams)
    params = run.params
    featurized, transformed = run.manifest_of(FEATURIZE), run.manifest_of(TRANSFORM_PCA)
    card = read_card(run.storage, params.pca)
    features = run.files_of(FEATURIZE, layout.FEATURES_TABLE)
    rejects = run.files_of(FEATURIZE, layout.REJECTS_TABLE)
    projected = run.files_of(TRANSFORM_PCA, layout.PROJECTED_TABLE)

    batch = WrittenFile(layout.batch(params.run), 0, featurized.rows_in)
    count = partial(count_rows, run.context, bucket=params.bucket)
    with show_progress(run, what="counting rows"):
        photo_counts = count([batch], columns=["label"])
        feature_counts = count(features, columns=["path", "label", "features"], find_faults=checks.feature_faults)
        reject_counts = count(rejects, columns=["label"])
        projection_faults = partial(checks.projection_faults, k=card.k)
        projected_counts = count(projected, columns=["path", "projected"], find_faults=projection_faults)
        repeated, examples = find_duplicates(run.context, features + rejects, bucket=params.bucket)

    findings = [
        *checks.check_counts(photo_counts, feature_counts, reject_counts),
        *checks.check_reject_ratio(
            featurized.rows_rejected,
            featurized.rows_in,
            max_ratio=params.max_reject_ratio,
            reasons=featurized.figures["reasons"],
        ),
        *checks.check_features(feature_counts),
        *checks.check_duplicates(repeated, examples),
        *checks.check_projected(projected_counts, expected=transformed.rows_in, k=card.k),
        *checks.check_variance(card),
        *checks.check_drift(transformed, card),
    ]
    run.finish(
        rows_in=featurized.rows_in,
        rows_out=featurized.rows_out,
        rows_rejected=featurized.rows_rejected,
        findings=tuple(findings),
        digests={"pca": params.pca, "extractor": params.extractor},
    )


if __name__ == "__main__":
    main(sys.argv[1:])
