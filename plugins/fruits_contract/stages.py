"""The stage table: one word per stage, the same for script, EMR step, Airflow task, manifest and heading.

It must not know how a stage is run, only what it is called and what it is for.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One Spark app of a run: its name and what it does, in one sentence."""

    name: str
    does: str
    reads: str
    writes: str


FEATURIZE = Stage(
    "featurize",
    "Turns every photo of the batch into 1,280 MobileNetV2 features, or into a reject with a reason.",
    "runs/<run>/batch.parquet, raw/<drop>/, models/extractor/",
    "tables/features/drop=<drop>/run=<run>/, tables/rejects/drop=<drop>/run=<run>/",
)
FIT_PCA = Stage(
    "fit_pca",
    "Fits the PCA on all retained features and those of this run; runs only when there is no PCA yet or mode=fit.",
    "tables/features/, runs/<run>/retained.json",
    "models/pca/<model_id>/pca.npz, card.json",
)
TRANSFORM_PCA = Stage(
    "transform_pca",
    "Projects features on the components of the PCA; of this run, or of all retained features after a fit.",
    "tables/features/, runs/<run>/retained.json, models/pca/<model_id>/",
    "tables/projected/pca=<model_id>/drop=<drop>/run=<run>/",
)
VALIDATE = Stage(
    "validate",
    "Checks what the run wrote; its red findings keep the run from being published.",
    "runs/<run>/, tables/, models/pca/<model_id>/card.json",
    "findings in its manifest, runs/<run>/validate.json",
)
REPORT = Stage(
    "report",
    "Draws the run's report and writes the features table a spreadsheet can open.",
    "runs/<run>/, tables/projected/, tables/rejects/, models/pca/<model_id>/",
    "runs/<run>/report/{index.html,report.json}, runs/<run>/final_features.csv",
)

STAGES = (FEATURIZE, FIT_PCA, TRANSFORM_PCA, VALIDATE, REPORT)
