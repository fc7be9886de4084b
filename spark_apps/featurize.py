"""featurize: every photo of the batch becomes 1,280 features, or a reject with a reason."""

import sys
from collections import Counter

import pyarrow as pa

from fruits.features import BroadcastExtractor, choose_engine, featurize
from fruits.job_progress import show_photos, show_progress
from fruits.photo_list import read_sizes, split_into_parts
from fruits.stage_run import StageRun
from fruits_contract import columns, layout
from fruits_contract.features_pipeline import FEATURIZE, FeaturesRunParams


def main(argv: list[str]) -> None:
    """Run the stage; argv is `RunParams.to_argv()`."""
    run = StageRun.begin(FEATURIZE, argv, FeaturesRunParams)
    params, storage, context = run.params, run.storage, run.context
    batch_key = layout.batch(params.run)
    sizes = read_sizes(storage, batch_key)

    model_key = layout.extractor_keras if params.engine == "tensorflow" else layout.extractor
    model = context.broadcast(storage.read(model_key(params.extractor)))
    extractor = BroadcastExtractor(params.extractor, model, params.engine)
    with show_progress(run, what="choosing the engine"):
        choice = choose_engine(context, storage, batch_key, photo_count=len(sizes), extractor=extractor)

    folder = layout.features_part(params.drop, params.run)
    parts = split_into_parts(sizes, cores=context.defaultParallelism)
    with show_photos(run, what="featurizing", total=len(sizes)) as counts_folder:
        results = featurize(
            context,
            parts,
            bucket=params.bucket,
            batch_key=batch_key,
            folder=folder,
            counts_folder=counts_folder,
            extractor=choice.extractor,
        )
    files = [result.file for result in results if result.file]
    storage.delete_folder(folder, but=[file.key for file in files])
    rows_out = sum(file.rows for file in files)

    rejects = [row for result in results for row in result.rejects]
    schema = columns.arrow_schema(columns.REJECTS)
    rejects_key = f"{layout.rejects_part(params.drop, params.run)}part-00000.parquet"
    rejects_file = storage.write_parquet(rejects_key, pa.Table.from_pylist(rejects, schema=schema).to_batches(), schema)
    if rejects_file:
        files.append(rejects_file)
    run.finish(
        rows_in=len(sizes),
        rows_out=rows_out,
        rows_rejected=len(rejects),
        files=files,
        figures={
            "reasons": dict(Counter(row["reason"] for row in rejects).most_common()),
            "engine": choice.as_figures(),
        },
        digests={"extractor": params.extractor, "engine": choice.name},
    )


if __name__ == "__main__":
    main(sys.argv[1:])
