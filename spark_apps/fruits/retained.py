"""Which features a run works on: its own, and in a fit all those that were published before.

It must not know Delta: the list of files in the table's current version was written when the run was planned.
"""

import json

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fruits.feature_files import FeatureFile
from fruits.stage import StageRun
from fruits_contract import columns, layout
from fruits_contract.stages import FEATURIZE


def own_features(run: StageRun) -> DataFrame:
    """Return the features that this run wrote (`columns.FEATURES` and `drop`)."""
    return run.written(FEATURIZE, layout.FEATURES, columns=columns.FEATURES).withColumn("drop", F.lit(run.params.drop))


def all_features(run: StageRun) -> DataFrame:
    """Return the features of this run and all published ones of the same extractor (`columns.FEATURES` and `drop`).

    A photo that this run featurized anew counts once, with its new features; one that it rejected does not count any more.
    """
    own = own_features(run)
    keys = json.loads(run.storage.read(layout.retained(run.params.run)))
    if not keys:
        return own
    schema = columns.ddl(columns.FEATURES | {"drop": "string", "run": "string"})
    published = (
        run.spark.read.schema(schema)
        .option("basePath", run.uri(f"{layout.FEATURES}/"))
        .parquet(*map(run.uri, keys))
        .filter(F.col("extractor") == run.params.extractor)
        .select(*columns.FEATURES, "drop")
    )
    rejects = run.written(FEATURIZE, layout.REJECTS, columns=columns.REJECTS)
    seen = own.select("path").unionByName(rejects.select("path"))
    return published.join(F.broadcast(seen), on="path", how="left_anti").select(*own.columns).unionByName(own)


def all_feature_files(run: StageRun) -> list[FeatureFile]:
    """Return the files of the rows that `all_features` returns, for a task that reads them itself."""
    written = [file.key for file in run.manifest_of(FEATURIZE).files]
    same_drop = layout.features_drop(run.params.drop)
    published = json.loads(run.storage.read(layout.retained(run.params.run)))
    return [
        *(FeatureFile(key) for key in written if key.startswith(f"{layout.FEATURES}/")),
        *(FeatureFile(key, superseded_by=tuple(written) if key.startswith(same_drop) else ()) for key in published),
    ]


def features_to_project(run: StageRun) -> DataFrame:
    """Return all retained features in fit mode, since a new PCA projects every photo anew; else those of this run."""
    return all_features(run) if run.params.mode == "fit" else own_features(run)
