"""featurize: every photo of the batch becomes 1,280 features, or a reject with a reason."""

import sys
from collections import Counter
from itertools import islice

import pyarrow as pa

from fruits import engine_trial
from fruits.features import BroadcastExtractor, choose_engine, featurize
from fruits.job_progress import show_progress
from fruits.photo_list import Photo, read_photos, read_sizes, split_into_parts
from fruits.stage_run import StageRun
from fruits_contract import columns, layout
from fruits_contract.features_pipeline import FEATURIZE


def main(argv: list[str]) -> None:
    """Run the stage; argv is `RunParams.to_argv()`."""
    run = StageRun.begin(FEATURIZE, argv)
    params, storage, context = run.params, run.storage, run.context
    batch = layout.batch(params.run)
    sizes = read_sizes(storage, batch)

    def sample() -> list[Photo]:
        every = max(1, len(sizes) // engine_trial.SAMPLE_PHOTOS)
        return list(islice(read_photos(storage, batch, start=0, stop=len(sizes)), 0, None, every))[: engine_trial.SAMPLE_PHOTOS]

    model_key = layout.extractor_keras if params.engine == "tensorflow" else layout.extractor
    model = context.broadcast(storage.read(model_key(params.extractor)))
    extractor = BroadcastExtractor(params.extractor, model, params.engine)
    choice = choose_engine(context, sample, bucket=params.bucket, extractor=extractor)

    folder = layout.features_part(params.drop, params.run)
    parts = split_into_parts(sizes, cores=context.defaultParallelism)
    with show_progress(context, what=f"featurize: {len(sizes):,} photos"):
        results = featurize(context, parts, bucket=params.bucket, batch=batch, folder=folder, extractor=choice.extractor)
    features = [each.file for each in results if each.file]
    storage.delete_folder(folder, but=[file.key for file in features])

    rejects = [row for each in results for row in each.rejects]
    schema = columns.arrow_schema(columns.REJECTS)
    rejected = storage.write_parquet(
        f"{layout.rejects_part(params.drop, params.run)}part-00000.parquet",
        pa.Table.from_pylist(rejects, schema=schema).to_batches(),
        schema,
    )
    run.leave(
        rows_in=len(sizes),
        rows_out=sum(file.rows for file in features),
        rows_rejected=len(rejects),
        files=[*features, *([rejected] if rejected else [])],
        figures={
            "reasons": dict(Counter(row["reason"] for row in rejects).most_common()),
            "engine": choice.as_figures(),
        },
        digests={"extractor": params.extractor, "engine": choice.name},
    )


if __name__ == "__main__":
    main(sys.argv[1:])
