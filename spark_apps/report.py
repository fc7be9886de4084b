"""report: the page a person opens, its figures as JSON, and one CSV with a row per projected photo."""

import csv
import json
import sys
import tempfile

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fruits.report import MapPoints, figures_of, page
from fruits.saved_pca import load_pca, read_card
from fruits.stage_run import StageRun
from fruits_contract import columns, layout
from fruits_contract.features_pipeline import FEATURIZE, FIT_PCA, REPORT, TRANSFORM_PCA, VALIDATE

MAP_POINTS = 3000
REJECTS_SHOWN = 200


def main(argv: list[str]) -> None:
    """Run the stage; argv is `RunParams.to_argv()`."""
    run = StageRun.begin(REPORT, argv)
    params = run.params
    stages = [FEATURIZE, *([FIT_PCA] if params.mode == "fit" else []), TRANSFORM_PCA, VALIDATE]
    manifests = [run.manifest_of(stage) for stage in stages]
    transformed = manifests[-2]
    projected = run.written(TRANSFORM_PCA, layout.PROJECTED_TABLE, columns=columns.PROJECTED)
    rejects = run.written(FEATURIZE, layout.REJECTS_TABLE, columns=columns.REJECTS)
    card = read_card(run.storage, params.pca)

    rows = write_csv(projected, run, k=card.k)
    figures = figures_of(manifests, card, drop=params.drop, mode=params.mode, release=params.release)
    content = page(
        figures,
        pca=load_pca(run.storage, params.pca, extractor=params.extractor),
        points=sample(projected, total=transformed.rows_out),
        rejects=[row.asDict() for row in rejects.orderBy("path").limit(REJECTS_SHOWN).collect()],
    )
    run.storage.write(layout.report_data(params.run), json.dumps(figures, indent=1) + "\n")
    run.storage.write(layout.report_page(params.run), content)
    run.leave(rows_in=transformed.rows_out, rows_out=rows, digests={"pca": params.pca})


def sample(projected: DataFrame, *, total: int) -> MapPoints:
    """Return up to `MAP_POINTS` photos, the same ones each time."""
    shown = projected.orderBy(F.xxhash64("path")).limit(MAP_POINTS)
    rows = shown.select("label", F.slice("projected", 1, 2).alias("xy")).collect()
    xy = np.array([(*row["xy"], 0.0)[:2] for row in rows]).reshape(-1, 2)
    return MapPoints(xy, [row["label"] for row in rows], total)


def write_csv(projected: DataFrame, run: StageRun, *, k: int) -> int:
    """Write `final_features.csv`, one partition of rows in memory at a time, and return the number of rows."""
    count = 0
    with tempfile.NamedTemporaryFile("w+", newline="", suffix=".csv") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", *(f"pca_{number}" for number in range(1, k + 1))])
        for row in projected.toLocalIterator(prefetchPartitions=True):
            # repr of the float32: the shortest text that reads back as the same number.
            writer.writerow([row["path"], row["label"], *np.asarray(row["projected"], dtype=np.float32).astype(str)])
            count += 1
        file.flush()
        run.storage.upload(layout.final_features(run.params.run), file.name)
    return count


if __name__ == "__main__":
    main(sys.argv[1:])
