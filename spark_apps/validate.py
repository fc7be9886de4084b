"""validate: says whether the run may be published; the verdict is in the manifest's findings, not in the exit code."""

import sys

from fruits import checks
from fruits.saved_pca import read_card
from fruits.stage_run import StageRun
from fruits_contract import columns, layout
from fruits_contract.features_pipeline import FEATURIZE, TRANSFORM_PCA, VALIDATE


def main(argv: list[str]) -> None:
    """Run the stage; argv is `RunParams.to_argv()`."""
    run = StageRun.begin(VALIDATE, argv)
    params = run.params
    featurized, transformed = run.manifest_of(FEATURIZE), run.manifest_of(TRANSFORM_PCA)
    card = read_card(run.storage, params.pca)
    batch = run.table(layout.batch(params.run), columns=columns.BATCH)
    features = run.written(FEATURIZE, layout.FEATURES_TABLE, columns=columns.FEATURES)
    rejects = run.written(FEATURIZE, layout.REJECTS_TABLE, columns=columns.REJECTS)
    projected = run.written(TRANSFORM_PCA, layout.PROJECTED_TABLE, columns=columns.PROJECTED)

    findings = [
        *checks.check_counts(batch, features, rejects),
        *checks.check_reject_ratio(
            featurized.rows_rejected,
            featurized.rows_in,
            max_ratio=params.max_reject_ratio,
            reasons=featurized.figures["reasons"],
        ),
        *checks.check_features(features),
        *checks.check_duplicates(features, rejects),
        *checks.check_projected(projected, expected=transformed.rows_in, k=card.k),
        *checks.check_variance(card),
        *checks.check_drift(transformed, card),
    ]
    run.leave(
        rows_in=featurized.rows_in,
        rows_out=featurized.rows_out,
        rows_rejected=featurized.rows_rejected,
        findings=tuple(findings),
        digests={"pca": params.pca, "extractor": params.extractor},
    )


if __name__ == "__main__":
    main(sys.argv[1:])
