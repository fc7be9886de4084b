"""transform_pca: projects features on the components of the PCA."""

import sys

from pyspark.sql import functions as F

from fruits.models import load_pca
from fruits.projecting import project
from fruits.retained import features_to_project
from fruits.stage import StageRun
from fruits_contract import columns, layout
from fruits_contract.stages import TRANSFORM_PCA


def main(argv: list[str]) -> None:
    """Run the stage; argv is `RunParams.to_argv()`."""
    run = StageRun.begin(TRANSFORM_PCA, argv)
    params = run.params
    pca = load_pca(run.storage, params.pca, extractor=params.extractor)
    projected, spread = project(features_to_project(run).select("path", "label", "drop", "features"), pca)
    rows = projected.withColumn("run", F.lit(params.run)).select(*columns.PROJECTED, "drop", "run")
    # A new PCA owns its whole folder; a transform adds one folder of its own to the current PCA's.
    root = layout.projected_root(params.pca)
    if params.mode == "fit":
        rows.write.mode("overwrite").partitionBy("drop", "run").parquet(run.uri(root))
    else:
        root = layout.projected_part(params.pca, params.drop, params.run)
        rows.select(*columns.PROJECTED).write.mode("overwrite").parquet(run.uri(root))
    written = run.storage.parquet_files(root)
    count = sum(file.rows for file in written)
    run.leave(
        rows_in=spread.value.count if spread.value else 0,
        rows_out=count,
        files=written,
        figures={"k": len(pca.components), "explained_variance": spread.value.explained if spread.value else None},
        digests={"extractor": params.extractor, "pca": params.pca},
    )


if __name__ == "__main__":
    main(sys.argv[1:])
