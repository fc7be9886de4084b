"""The pipeline `fruits_features`: from a drop of photos to published features and projections."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from fruits_contract import layout
from fruits_contract.pipeline import InvalidParam, ParamSpec, Pipeline, RunParams, Stage

ENGINES = ("auto", "litert", "openvino", "tensorflow")
MODES = ("auto", "fit", "transform")
DAILY_HOUR_UTC = 3  # when the run of a day's drop begins

PCA_SECTION = "PCA"
EXPERT_SECTION = "Checks, engine, release and budget"

_NAME_SCHEMA = {"type": ["null", "string"], "pattern": f"^{layout.NAME.pattern}$"}

DROP = ParamSpec(
    "drop",
    None,
    "Name of the drop: the folder below raw/ with one folder per variety and the object _READY. "
    "Empty: the day of the run, e.g. 2026-11-22.",
    _NAME_SCHEMA,
)
MODE = ParamSpec(
    "mode",
    "auto",
    "auto: fit a PCA when there is none for this extractor yet, else transform with the current one. "
    "fit: fit a new PCA on all retained photos, and project them all again. transform: never fit.",
    {"type": "string", "enum": list(MODES)},
)
VARIANCE = ParamSpec(
    "variance",
    0.70,
    "Share of the variance that the PCA must explain: the smallest number of components that reaches it is kept.",
    {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    PCA_SECTION,
)
COMPONENTS = ParamSpec(
    "components",
    None,
    "Fixed number of components instead of a share of the variance. Empty: by variance.",
    {"type": ["null", "integer"], "minimum": 1, "maximum": 1280},
    PCA_SECTION,
)
MAX_REJECT_RATIO = ParamSpec(
    "max_reject_ratio",
    0.05,
    "Largest share of unreadable photos in the batch; above it validate reports a red finding and nothing is published.",
    {"type": "number", "minimum": 0, "maximum": 1},
    EXPERT_SECTION,
)
ENGINE = ParamSpec(
    "engine",
    "litert",
    "What runs the network on the nodes. auto: the fastest that gives the reference's features on photos of the batch. "
    "tensorflow needs a release built with it.",
    {"type": "string", "enum": list(ENGINES)},
    EXPERT_SECTION,
)
RELEASE = ParamSpec(
    "release",
    None,
    "Release of the code below code/ that the run is pinned to. Empty: the deployment's current release.",
    _NAME_SCHEMA,
    EXPERT_SECTION,
)
BUDGET_USD = ParamSpec(
    "budget_usd",
    None,
    "What the run may cost in US dollars: one that is expected to cost more fails before it has a cluster. "
    "Empty: the deployment's budget_usd.",
    {"type": ["null", "number"], "exclusiveMinimum": 0},
    EXPERT_SECTION,
)


@dataclass(frozen=True, kw_only=True)
class FeaturesRunParams(RunParams):
    """What every stage of a planned run of `fruits_features` receives.

    Parameters
    ----------
    mode
        fit: `fit_pca` runs, and all retained photos are projected; transform: those of this run only.
    drop
        Name of the drop below raw/.
    extractor
        sha256 of the feature extractor's file.
    pca
        Model id of the PCA to transform with; in fit mode the id under which the fit saves its model.
    variance
        Share of the variance that the PCA must explain.
    max_reject_ratio
        Largest share of unreadable photos in the batch.
    engine
        What runs the network.
    components
        Fixed number of components, or 0 to let `variance` decide.
    """

    drop: str
    extractor: str
    pca: str
    mode: str = "transform"
    variance: float = VARIANCE.default
    components: int = 0
    max_reject_ratio: float = MAX_REJECT_RATIO.default
    engine: str = ENGINE.default

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("drop", "pca"):
            layout.check_name(getattr(self, name), what=name)
        if self.mode not in ("fit", "transform"):
            raise InvalidParam(f"mode is {self.mode!r}; a planned run either fits or transforms")
        if len(self.extractor) != 64 or set(self.extractor) - set("0123456789abcdef"):
            raise InvalidParam(f"extractor is {self.extractor!r}; expected the 64 hex digits of a sha256")
        VARIANCE.check(self.variance)
        MAX_REJECT_RATIO.check(self.max_reject_ratio)
        ENGINE.check(self.engine)
        COMPONENTS.check(self.components or None)


def daily_run_of(drop: str) -> datetime:
    """Return when the run of a drop that is named after its day begins; raise ValueError for another name."""
    day = datetime.strptime(drop, "%Y-%m-%d").date()
    return datetime.combine(day, time(DAILY_HOUR_UTC), UTC)


def next_daily_drop(now: datetime) -> str:
    """Return the drop of the next daily run after `now`."""
    today = f"{now.astimezone(UTC):%Y-%m-%d}"
    if now < daily_run_of(today):
        return today
    return f"{now.astimezone(UTC) + timedelta(days=1):%Y-%m-%d}"


FEATURIZE = Stage(
    name="featurize",
    does="Turns every photo of the batch into 1,280 MobileNetV2 features, or into a reject with a reason.",
    reads="runs/<run>/batch.parquet, raw/<drop>/, models/extractor/",
    writes="tables/features/drop=<drop>/run=<run>/, tables/rejects/drop=<drop>/run=<run>/",
)
FIT_PCA = Stage(
    name="fit_pca",
    does="Fits the PCA on all retained features and those of this run; runs only when there is no PCA yet or mode=fit.",
    reads="tables/features/, runs/<run>/retained.json",
    writes="models/pca/<model_id>/pca.npz, card.json",
    only_in_mode="fit",
)
TRANSFORM_PCA = Stage(
    name="transform_pca",
    does="Projects features on the components of the PCA; of this run, or of all retained features after a fit.",
    reads="tables/features/, runs/<run>/retained.json, models/pca/<model_id>/",
    writes="tables/projected/pca=<model_id>/drop=<drop>/run=<run>/",
)
VALIDATE = Stage(
    name="validate",
    does="Checks what the run wrote; its red findings keep the run from being published.",
    reads="runs/<run>/, tables/, models/pca/<model_id>/card.json",
    writes="findings in its manifest, runs/<run>/validate.json",
)
REPORT = Stage(
    name="report",
    does="Builds the run's report and writes the table of projections that a spreadsheet can open.",
    reads="runs/<run>/, tables/projected/, tables/rejects/, models/pca/<model_id>/",
    writes="runs/<run>/report/{index.html,report.json}, runs/<run>/final_features.csv",
)

FEATURES_PIPELINE = Pipeline(
    dag_id="fruits_features",
    plan_task="plan_batch",
    trigger=(DROP, MODE, VARIANCE, COMPONENTS, MAX_REJECT_RATIO, ENGINE, RELEASE, BUDGET_USD),
    stages=(FEATURIZE, FIT_PCA, TRANSFORM_PCA, VALIDATE, REPORT),
    run_params=FeaturesRunParams,
)
