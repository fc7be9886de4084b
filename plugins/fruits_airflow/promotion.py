"""Makes the classifier of a run the current one, unless it is worse."""

import logging
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from fruits_airflow.bucket import Bucket
from fruits_airflow.current import CurrentModelChanged, make_current, read_current
from fruits_contract import layout
from fruits_contract.classifier_pipeline import EVALUATE_CLASSIFIER, ClassifierRunParams
from fruits_contract.manifest import Manifest
from fruits_contract.pipeline import RunParams

log = logging.getLogger(__name__)


def promote_run(bucket: Bucket, params: RunParams, *, promotion: str) -> dict[str, Any]:
    """Promote the classifier of a run; doing it twice changes nothing.

    Parameters
    ----------
    promotion
        One of `classifier_pipeline.PROMOTIONS`.

    Raises
    ------
    AirflowSkipException
        It is worse than the current classifier on the same held-out photos, or promotion was not wanted: not a failure.
    AirflowFailException
        Another classifier has become current since the run was planned.
    """
    assert isinstance(params, ClassifierRunParams), "only runs of fruits_classifier have a classifier to promote"
    evaluated = Manifest.from_json(bucket.read(layout.manifest(params.run, EVALUATE_CLASSIFIER.name)))
    model_id = evaluated.digests["classifier"]
    log.info("Model card: %s", bucket.uri(layout.classifier_card_page(model_id)))
    log.info("Metrics: %s", evaluated.figures["metrics"])
    if evaluated.red:
        reasons = "; ".join(finding.message for finding in evaluated.red)
        log.warning("Classifier %s is not promoted: %s", model_id, reasons)
        log.info("To promote it anyway: make rollback BUCKET=%s MODEL=%s", bucket.name, model_id)
        raise AirflowSkipException(f"not promoted: {reasons}")
    if promotion == "never":
        log.info("Classifier %s is not promoted: promotion=never", model_id)
        raise AirflowSkipException("not promoted: promotion=never")

    current = read_current(bucket)
    promoted = {"classifier": model_id, "run": params.run}
    if current.classifier.get("model_id") == model_id:
        log.info("Classifier %s is current already", model_id)
        return promoted
    replaced = current.classifier.get("model_id", "")
    model = {"model_id": model_id, "extractor": params.extractor, "run": params.run, "previous": replaced}
    # A classifier for another extractor may be current: the run could not be compared with it, and replaces it.
    is_other_extractor = bool(replaced) and current.classifier_of(params.extractor) == ""
    try:
        make_current(bucket, kind="classifier", model=model, instead_of=replaced if is_other_extractor else params.current)
    except CurrentModelChanged as error:
        raise AirflowFailException(f"{error}, since this run was planned; trigger a new run") from error
    log.info("Classifier %s is now current, instead of %s", model_id, replaced or "none")
    return promoted
