"""transform_pca: projects features on the components of the PCA."""

import sys
from functools import reduce

from fruits.feature_files import features_of_run
from fruits.job_progress import show_progress
from fruits.pca import Spread
from fruits.pca_jobs import project
from fruits.saved_pca import load_pca
from fruits.stage_run import StageRun
from fruits_contract import layout
from fruits_contract.features_pipeline import TRANSFORM_PCA, FeaturesRunParams


def main(argv: list[str]) -> None:
    """Run the stage; argv is `RunParams.to_argv()`."""
    run = StageRun.begin(TRANSFORM_PCA, argv, FeaturesRunParams)
    params = run.params
    pca = load_pca(run.storage, params.pca, extractor=params.extractor)
    files = features_of_run(run)

    def folder_of(drop: str) -> str:
        return layout.projected_part(params.pca, drop, params.run)

    with show_progress(run, what=f"projecting {len(files):,} files of features"):
        results = project(run.context, files, bucket=params.bucket, extractor=params.extractor, pca=pca, folder_of=folder_of)
    written = [each.file for each in results if each.file]
    for drop in {params.drop, *(file.drop for file in files)}:
        run.storage.delete_folder(folder_of(drop), but=[file.key for file in written])
    spreads = [each.spread for each in results if each.spread]
    spread = reduce(Spread.merge, spreads) if spreads else None
    run.finish(
        rows_in=spread.count if spread else 0,
        rows_out=sum(file.rows for file in written),
        files=written,
        figures={"k": len(pca.components), "explained_variance": spread.explained if spread else None},
        digests={"extractor": params.extractor, "pca": params.pca},
    )


if __name__ == "__main__":
    main(sys.argv[1:])
