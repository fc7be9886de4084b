"""The pipeline `fruits_classifier`: from published features to the current classifier."""

from dataclasses import dataclass

from fruits_contract import layout
from fruits_contract.features_pipeline import BUDGET_USD, RELEASE
from fruits_contract.pipeline import InvalidParam, ParamSpec, Pipeline, RunParams, Stage

PROMOTIONS = ("if_not_worse", "never")

SURE_ABOVE = ParamSpec(
    "sure_above",
    0.8,
    'An answer whose calibrated probability is lower is "not sure". Higher: fewer wrong answers, more that are not sure.',
    {"type": "number", "minimum": 0.5, "maximum": 1},
)
PROMOTION = ParamSpec(
    "promotion",
    "if_not_worse",
    "if_not_worse: the new classifier becomes the current one unless it is worse on the held-out photos. never: train and "
    "evaluate only.",
    {"type": "string", "enum": list(PROMOTIONS)},
)


@dataclass(frozen=True, kw_only=True)
class ClassifierRunParams(RunParams):
    """What every stage of a planned run of `fruits_classifier` receives.

    Parameters
    ----------
    mode
        train, the only one.
    extractor
        sha256 of the feature extractor whose features are used.
    current
        Model id of the classifier that is current when the run is planned; '' when there is none.
    sure_above
        Answers of a lower calibrated probability are "not sure".
    """

    extractor: str
    current: str
    mode: str = "train"
    sure_above: float = SURE_ABOVE.default

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode != "train":
            raise InvalidParam(f"mode is {self.mode!r}; expected train")
        if len(self.extractor) != 64 or set(self.extractor) - set("0123456789abcdef"):
            raise InvalidParam(f"extractor is {self.extractor!r}; expected the 64 hex digits of a sha256")
        if self.current:
            layout.check_name(self.current, what="current")
        SURE_ABOVE.check(self.sure_above)


TRAIN_CLASSIFIER = Stage(
    name="train_classifier",
    does="Fits three kinds of classifiers on published features, and saves the one with the best held-out accuracy.",
    reads="tables/features/, runs/<run>/retained.json",
    writes="models/classifier/<model_id>/classifier.npz",
)
EVALUATE_CLASSIFIER = Stage(
    name="evaluate_classifier",
    does="Scores the new and the current classifier on the same held-out photos, and writes the model card.",
    reads="tables/features/, runs/<run>/retained.json, models/classifier/",
    writes="models/classifier/<model_id>/{card.json,card.html}, findings in its manifest",
)

CLASSIFIER_PIPELINE = Pipeline(
    dag_id="fruits_classifier",
    plan_task="plan_training",
    trigger=(SURE_ABOVE, PROMOTION, RELEASE, BUDGET_USD),
    stages=(TRAIN_CLASSIFIER, EVALUATE_CLASSIFIER),
    run_params=ClassifierRunParams,
)
