"""The results of a run that is over: its files on this machine, its figures, or the reason why it failed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError
from rich.console import Console

from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURES_PIPELINE, FEATURIZE, FIT_PCA, TRANSFORM_PCA
from fruits_contract.manifest import Finding, Manifest
from local.client.airflow_api import DagRun
from local.client.live_log import LiveLog

FAILURE_LINES = 30
WAIT = "wait_for_drop"
_FAILED = "failed"


@dataclass(frozen=True)
class Results:
    """The fetched files of a run, by key, and the manifests among them by stage."""

    folder: Path
    files: dict[str, Path]
    manifests: dict[str, Manifest]

    @classmethod
    def of(cls, folder: Path, files: dict[str, Path], stages: Mapping[str, str]) -> "Results":
        """Read the manifests among the files; `stages` has their keys by stage."""
        manifests = {name: Manifest.from_json(files[key].read_bytes()) for name, key in stages.items() if key in files}
        return cls(folder, files, manifests)

    @property
    def findings(self) -> list[Finding]:
        """The findings of the stages, in their order."""
        return [finding for manifest in self.manifests.values() for finding in manifest.findings]


def fetch(bucket: str, dag_run_id: str, *, into: Path) -> Results:
    """Download manifests, report and final features of a run into `into/<run>/`; a run that ended early has fewer."""
    run = layout.run_name(dag_run_id)
    stages = {stage.name: layout.manifest(run, stage.name) for stage in FEATURES_PIPELINE.stages}
    keys = [*stages.values(), layout.report_page(run), layout.report_data(run), layout.final_features(run)]
    paths = {key: into / run / key.removeprefix(layout.run_prefix(run)) for key in keys}
    return Results.of(into / run, download(boto3.client("s3"), bucket, paths), stages)


def download(client: Any, bucket: str, paths: Mapping[str, Path]) -> dict[str, Path]:
    """Download objects to local paths, by key, and return those that exist."""
    files = {}
    for key, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            client.download_file(bucket, key, str(path))
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchKey"):
                raise
        else:
            files[key] = path
    return files


def print_success(console: Console, run: DagRun, fetched: Results) -> None:
    """Print the figures and where the files are."""
    if FEATURIZE.name not in fetched.manifests:
        console.print(_why_nothing(run))
        return
    for name, value in _figures(fetched.manifests):
        console.print(f"{name:<18} {value}")
    _print_seconds(console, run)
    _print_findings(console, fetched)
    for path in fetched.files.values():
        console.print(str(path))


def print_failure(console: Console, run: DagRun, fetched: Results, log: LiveLog) -> None:
    """Print which tasks failed, the end of their logs, and the findings of the stages."""
    failed = [task for task in run.tasks if task.state == _FAILED]
    for task in failed:
        tail = log.ended(run, task, count=FAILURE_LINES)
        console.print(f"── {task.task} failed after {task.seconds:.0f} s; the end of {tail.title}:")
        console.print("\n".join(tail.lines))
    console.print("──")
    _print_findings(console, fetched)
    names = ", ".join(task.task for task in failed) or "no task; the run was ended from outside or reached its time limit"
    console.print(f"Failed: {names}. Its files: {fetched.folder}")


def _why_nothing(run: DagRun) -> str:
    skipped = [task.task for task in run.tasks if task.state == "skipped"]
    if WAIT in skipped:
        return "Skipped: the drop was not complete in time (no _READY). No cluster was started."
    return "Nothing new: every photo of the drop is in the features table already. No cluster was started."


def _figures(manifests: dict[str, Manifest]) -> list[tuple[str, str]]:
    featurized = manifests[FEATURIZE.name]
    speed = featurized.rows_in / featurized.seconds if featurized.seconds else 0.0
    lines = [
        ("photos", f"{featurized.rows_in:,}"),
        ("features", f"{featurized.rows_out:,}"),
        ("rejects", f"{featurized.rows_rejected:,}"),
        ("photos per second", f"{speed:.0f}"),
    ]
    reduced = manifests.get(FIT_PCA.name) or manifests.get(TRANSFORM_PCA.name)
    if reduced:
        explained = reduced.figures.get("explained_variance")
        lines.append(("components", str(reduced.figures.get("k", "unknown"))))
        lines.append(("variance", f"{explained:.4f}" if isinstance(explained, float) else "unknown"))
    return lines


def _print_seconds(console: Console, run: DagRun) -> None:
    seconds = ", ".join(f"{task.task} {task.seconds:.0f}" for task in run.tasks if task.seconds >= 1)
    console.print(f"{'seconds':<18} {run.seconds:.0f} in all: {seconds}")


def _print_findings(console: Console, fetched: Results) -> None:
    for finding in fetched.findings:
        console.print(f"{finding.severity}: {finding.check}: {finding.message}")
