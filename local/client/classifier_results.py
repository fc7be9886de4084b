"""The results of a training that is over: manifests and model card on this machine, and the figures in a few lines."""

from pathlib import Path

import boto3
from rich.console import Console

from fruits_contract import layout
from fruits_contract.classifier_pipeline import CLASSIFIER_PIPELINE, EVALUATE_CLASSIFIER
from local.client.airflow_api import DagRun
from local.client.results import Results, download


def fetch(bucket: str, dag_run_id: str, *, into: Path) -> Results:
    """Download the manifests and the model card into `into/<run>/`; a training that ended early has fewer."""
    run = layout.run_name(dag_run_id)
    folder = into / run
    client = boto3.client("s3")
    stages = {stage.name: layout.manifest(run, stage.name) for stage in CLASSIFIER_PIPELINE.stages}
    files = download(client, bucket, {key: folder / f"{name}.json" for name, key in stages.items()})
    fetched = Results.of(folder, files, stages)
    evaluated = fetched.manifests.get(EVALUATE_CLASSIFIER.name)
    if evaluated is None:
        return fetched
    model_id = evaluated.digests["classifier"]
    card = {
        layout.classifier_card_page(model_id): folder / "card.html",
        layout.classifier_card(model_id): folder / "card.json",
    }
    return Results.of(folder, files | download(client, bucket, card), stages)


def print_success(console: Console, run: DagRun, fetched: Results) -> None:
    """Print the figures, whether the classifier is now current, and where the files are."""
    evaluated = fetched.manifests.get(EVALUATE_CLASSIFIER.name)
    if evaluated is None:
        console.print("Nothing to train on: no features are published. No cluster was started.")
        return
    console.print(f"{'classifier':<18} {evaluated.digests['classifier']}")
    for name, value in evaluated.figures["metrics"].items():
        console.print(f"{name.replace('_', ' '):<18} {value:.4f}")
    states = {task.task: task.state for task in run.tasks}
    is_promoted = states.get("promote") == "success"
    console.print(f"{'current':<18} {'yes' if is_promoted else 'no: the previous one stays'}")
    for finding in evaluated.findings:
        console.print(f"{finding.severity}: {finding.check}: {finding.message}")
    for path in fetched.files.values():
        console.print(str(path))
