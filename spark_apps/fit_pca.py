"""fit_pca: fits the PCA on all retained features and those of this run."""

import sys

from fruits.feature_files import features_of_run
from fruits.job_progress import show_progress
from fruits.pca import fit
from fruits.pca_jobs import moments_of
from fruits.saved_pca import PcaCard, save_pca
from fruits.stage_run import StageRun
from fruits_contract.features_pipeline import FIT_PCA, FeaturesRunParams


def main(argv: list[str]) -> None:
    """Run the stage; argv is `RunParams.to_argv()`."""
    run = StageRun.begin(FIT_PCA, argv, FeaturesRunParams)
    params = run.params
    files = features_of_run(run)
    with show_progress(run, what=f"reading {len(files):,} files of features"):
        moments = moments_of(run.context, files, bucket=params.bucket, extractor=params.extractor)
    pca = fit(moments, variance=params.variance, components=params.components)
    card = PcaCard(
        model_id=params.pca,
        extractor=params.extractor,
        k=len(pca.components),
        explained=pca.explained,
        count=pca.count,
        requested_variance=params.variance,
        requested_components=params.components,
        created_at=run.started_at,
    )
    save_pca(run.storage, pca, card)
    run.finish(
        rows_in=pca.count,
        rows_out=pca.count,
        figures={"k": card.k, "explained_variance": card.explained},
        digests={"extractor": params.extractor, "pca": params.pca},
    )


if __name__ == "__main__":
    main(sys.argv[1:])
