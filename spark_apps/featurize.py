"""featurize: every photo of the batch becomes 1,280 features, or a reject with a reason."""

import sys
from collections import Counter

import pyarrow.compute as pc

from fruits.featurizing import Extractor, choose_engine, featurize, tasks_for
from fruits.progress import watched
from fruits.stage import StageRun
from fruits_contract import columns, layout
from fruits_contract.stages import FEATURIZE

# Rows are written to memory until a row group is full: small ones keep a task's memory flat, and fit_pca streams them.
ROW_GROUP_BYTES = 16 * 2**20


def main(argv: list[str]) -> None:
    """Run the stage; argv is `RunParams.to_argv()`."""
    run = StageRun.begin(FEATURIZE, argv)
    params = run.params
    batch = run.table(layout.batch(params.run), columns=columns.BATCH)
    sizes = run.storage.read_column(layout.batch(params.run), "size_bytes")
    photos = len(sizes)
    context = run.spark.sparkContext
    model_key = layout.extractor_keras if params.engine == "tensorflow" else layout.extractor
    model = run.storage.read(model_key(params.extractor))
    extractor = Extractor(params.extractor, context.broadcast(model), params.engine)
    choice = choose_engine(batch, bucket=params.bucket, extractor=extractor)

    tasks = tasks_for(photos, pc.sum(sizes).as_py() or 0, cores=context.defaultParallelism)
    features, rejects = featurize(batch, bucket=params.bucket, extractor=choice.extractor, tasks=tasks)
    features_part = layout.features_part(params.drop, params.run)
    with watched(context, what=f"featurize: {photos:,} photos"):
        features.select(*columns.FEATURES).write.mode("overwrite").option("parquet.block.size", ROW_GROUP_BYTES).parquet(
            run.uri(features_part)
        )
    rejects_part = layout.rejects_part(params.drop, params.run)
    run.spark.createDataFrame(rejects.value, columns.ddl(columns.REJECTS)).coalesce(1).write.mode("overwrite").parquet(
        run.uri(rejects_part)
    )

    written = run.storage.parquet_files(features_part)
    run.leave(
        rows_in=photos,
        rows_out=sum(file.rows for file in written),
        rows_rejected=len(rejects.value),
        files=[*written, *run.storage.parquet_files(rejects_part)],
        figures={
            "reasons": dict(Counter(row["reason"] for row in rejects.value).most_common()),
            "engine": choice.as_figures(),
        },
        digests={"extractor": params.extractor, "engine": choice.name},
    )


if __name__ == "__main__":
    main(sys.argv[1:])
