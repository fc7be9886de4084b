"""featurize: every photo of the batch becomes 1,280 features, or a reject with a reason."""

import sys
from collections import Counter

from fruits.engines import open_engine
from fruits.featurizing import Extractor, featurize
from fruits.stage import StageRun
from fruits_contract import columns, layout
from fruits_contract.stages import FEATURIZE


def main(argv: list[str]) -> None:
    """Run the stage; argv is `RunParams.to_argv()`."""
    run = StageRun.begin(FEATURIZE, argv)
    params = run.params
    batch = run.table(layout.batch(params.run), columns=columns.BATCH).cache()
    photos = batch.count()
    model = run.storage.read(layout.extractor(params.extractor))
    extractor = Extractor(params.extractor, run.spark.sparkContext.broadcast(model), params.engine)

    features, rejects = featurize(batch, bucket=params.bucket, extractor=extractor)
    features_part = layout.features_part(params.drop, params.run)
    features.select(*columns.FEATURES).write.mode("overwrite").parquet(run.uri(features_part))
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
        figures={"reasons": dict(Counter(row["reason"] for row in rejects.value).most_common())},
        digests={"extractor": params.extractor, "engine": open_engine(params.engine, model).name},
    )


if __name__ == "__main__":
    main(sys.argv[1:])
