"""report: the HTML report, its figures as JSON, and one CSV with a row per projected photo."""

import json
import sys
import tempfile
from typing import Any

from fruits.cluster_counts import count_clusters
from fruits.clusters import fit_centers
from fruits.drift import changes_since
from fruits.job_progress import show_progress
from fruits.photo_map import PhotoMap
from fruits.projected_rows import first_rejects, write_csv
from fruits.projected_sample import survey
from fruits.report import ReportInputs, figures_of, headline_of
from fruits.report_page import page
from fruits.saved_pca import load_pca, read_card
from fruits.stage_run import StageRun
from fruits.storage import Storage
from fruits.thumbnails import thumbnails_of
from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURIZE, FIT_PCA, REPORT, TRANSFORM_PCA, VALIDATE, FeaturesRunParams
from fruits_contract.plan_summary import PlanSummary

# The page holds the photos of the map, a thumbnail of about 500 bytes each, and 1.3 MB of Bokeh: below 5 MB in all.
MAP_PHOTOS = 2500
MAX_THUMBNAIL_BYTES = 2_000_000  # a third more in base64
SAMPLE = 8192  # photos to fit the clusters on, those of the map among them
REJECTS_SHOWN = 200


def main(argv: list[str]) -> None:
    """Run the stage; argv is `RunParams.to_argv()`."""
    run = StageRun.begin(REPORT, argv, FeaturesRunParams)
    params, storage = run.params, run.storage
    stages = [FEATURIZE, FIT_PCA, TRANSFORM_PCA, VALIDATE] if params.mode == "fit" else [FEATURIZE, TRANSFORM_PCA, VALIDATE]
    projected = run.files_of(TRANSFORM_PCA, layout.PROJECTED_TABLE)
    card = read_card(storage, params.pca)

    with show_progress(run, what="counting varieties and sampling photos"):
        surveyed = survey(run.context, projected, bucket=params.bucket, k=card.k, count=SAMPLE)
    shown = surveyed.sample.first(MAP_PHOTOS)
    with show_progress(run, what="making thumbnails"):
        thumbnails = thumbnails_of(run.context, shown.paths.tolist(), bucket=params.bucket, max_bytes=MAX_THUMBNAIL_BYTES)
    with show_progress(run, what="clustering"):
        centers = fit_centers(surveyed.sample.vectors, clusters=len(surveyed.varieties))
        clusters = count_clusters(run.context, projected, bucket=params.bucket, centers=centers)
    with show_progress(run, what="drawing the map"):
        photo_map = PhotoMap.of(shown, thumbnails)
    writing = show_progress(run, what="writing final_features.csv")
    with writing, tempfile.NamedTemporaryFile("w", newline="", suffix=".csv") as file:
        rows = write_csv(file, storage, projected, k=card.k)
        file.flush()
        storage.upload(layout.final_features(params.run), file.name)

    plan = _read_plan(storage, params.run)
    inputs = ReportInputs(
        params=params,
        manifests=[run.manifest_of(stage) for stage in stages],
        card=card,
        pca=load_pca(storage, params.pca, extractor=params.extractor),
        varieties=surveyed.varieties,
        clusters=clusters,
        photo_map=photo_map,
        rejected=first_rejects(storage, run.files_of(FEATURIZE, layout.REJECTS_TABLE), count=REJECTS_SHOWN),
        plan=plan,
        seconds=run.seconds,
    )
    figures = figures_of(inputs)
    figures["drift"] = _changes(storage, figures, previous_run=plan.previous_run if plan else "")
    storage.write(layout.report_data(params.run), json.dumps(figures) + "\n")
    content = page(figures, photo_map)
    storage.write(layout.report_page(params.run), content)
    run.finish(
        rows_in=run.manifest_of(TRANSFORM_PCA).rows_out,
        rows_out=rows,
        figures={"headline": headline_of(figures), "page_bytes": len(content.encode()), "thumbnails": len(thumbnails)},
        digests={"pca": params.pca},
    )


# The plan may be of another release, and the run before as well: the report is worth publishing without them.


def _read_plan(storage: Storage, run: str) -> PlanSummary | None:
    """Return what the plan expected; None where it is missing or cannot be understood."""
    try:
        return PlanSummary.from_json(storage.read(layout.plan_summary(run)))
    except (FileNotFoundError, ValueError, TypeError) as error:
        print(f"report: no expected cost, because the plan cannot be read: {error}", file=sys.stderr)
        return None


def _changes(storage: Storage, figures: dict[str, Any], *, previous_run: str) -> dict[str, Any] | None:
    """Return the comparison with the run before; None where there is none, or its report cannot be understood."""
    if not previous_run:
        return None
    try:
        return changes_since(json.loads(storage.read(layout.report_data(previous_run))), figures)
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        print(f"report: no comparison, because the report of {previous_run} cannot be read: {error!r}", file=sys.stderr)
        return None


if __name__ == "__main__":
    main(sys.argv[1:])
