"""evaluate_classifier: scores the new and the current classifier on the same held-out photos, and writes the model card."""

import json
import sys

from fruits import taxonomy
from fruits.classifier import Classifier
from fruits.evaluation import Evaluation, evaluate
from fruits.held_out import Split
from fruits.job_progress import show_progress
from fruits.labelled_rows import LabelledRows
from fruits.model_card import card_of, findings_of, page
from fruits.stage_run import StageRun
from fruits.training_jobs import FeatureRows
from fruits_contract import layout
from fruits_contract.classifier_pipeline import EVALUATE_CLASSIFIER, TRAIN_CLASSIFIER, ClassifierRunParams


def main(argv: list[str]) -> None:
    """Run the stage; argv is `RunParams.to_argv()`."""
    run = StageRun.begin(EVALUATE_CLASSIFIER, argv, ClassifierRunParams)
    params, storage = run.params, run.storage
    trained = run.manifest_of(TRAIN_CLASSIFIER)
    model_id = trained.digests["classifier"]
    keys = json.loads(storage.read(layout.retained(params.run)))
    features = FeatureRows(run.context, params.bucket, params.extractor, keys)
    with show_progress(run, what=f"reading {len(keys):,} files of features"):
        names = features.count_names()
        held_out = features.held_out_rows(Split(names), photos=sum(counts.photos for counts in names.values()))

    new = _evaluate(run, model_id, held_out)
    current = _evaluate(run, params.current, held_out) if params.current else None
    findings = findings_of(new, current, current_id=params.current)
    card = card_of(new, current, trained=trained, params=params, findings=findings)
    storage.write(layout.classifier_card(model_id), json.dumps(card, indent=1) + "\n")
    storage.write(layout.classifier_card_page(model_id), page(card))
    figures = {"metrics": new.metrics}
    if current:
        figures["current"] = current.metrics
    run.finish(
        rows_in=len(held_out),
        rows_out=len(held_out),
        figures=figures,
        findings=findings,
        digests={"extractor": params.extractor, "classifier": model_id},
    )


def _evaluate(run: StageRun[ClassifierRunParams], model_id: str, held_out: LabelledRows) -> Evaluation:
    classifier = Classifier.from_bytes(run.storage.read(layout.classifier_arrays(model_id)))
    known = taxonomy.load()
    return evaluate(classifier, held_out, answer_of=lambda label, head: known.meaning_of(label).answer(head))


if __name__ == "__main__":
    main(sys.argv[1:])
