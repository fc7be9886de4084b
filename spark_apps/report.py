"""report: the HTML report, its figures as JSON, and one CSV with a row per projected photo."""

import json
import sys
import tempfile

from fruits.projected_rows import first_rejects, sample_points, write_csv
from fruits.report import figures_of, page
from fruits.saved_pca import load_pca, read_card
from fruits.stage_run import StageRun
from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURIZE, FIT_PCA, REPORT, TRANSFORM_PCA, VALIDATE, FeaturesRunParams

MAP_POINTS = 3000
REJECTS_SHOWN = 200


def main(argv: list[str]) -> None:
    """Run the stage; argv is `RunParams.to_argv()`."""
    run = StageRun.begin(REPORT, argv, FeaturesRunParams)
    params, storage = run.params, run.storage
    stages = [FEATURIZE, FIT_PCA, TRANSFORM_PCA, VALIDATE] if params.mode == "fit" else [FEATURIZE, TRANSFORM_PCA, VALIDATE]
    transformed = run.manifest_of(TRANSFORM_PCA)
    projected = run.files_of(TRANSFORM_PCA, layout.PROJECTED_TABLE)
    card = read_card(storage, params.pca)

    points = sample_points(run.context, projected, bucket=params.bucket, count=MAP_POINTS)
    rejects = first_rejects(storage, run.files_of(FEATURIZE, layout.REJECTS_TABLE), count=REJECTS_SHOWN)
    manifests = [run.manifest_of(stage) for stage in stages]
    figures = figures_of(manifests, card, drop=params.drop, mode=params.mode, release=params.release)
    content = page(figures, pca=load_pca(storage, params.pca, extractor=params.extractor), points=points, rejects=rejects)
    with tempfile.NamedTemporaryFile("w", newline="", suffix=".csv") as file:
        rows = write_csv(file, storage, projected, k=card.k)
        file.flush()
        storage.upload(layout.final_features(params.run), file.name)

    storage.write(layout.report_data(params.run), json.dumps(figures, indent=1) + "\n")
    storage.write(layout.report_page(params.run), content)
    run.finish(rows_in=transformed.rows_out, rows_out=rows, digests={"pca": params.pca})


if __name__ == "__main__":
    main(sys.argv[1:])
