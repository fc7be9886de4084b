"""One run from photos on this machine to a report on this machine, through services that are up."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import obstore
from botocore.exceptions import HTTPClientError
from rich.console import Console

from fruits_contract import layout, shards
from fruits_contract.features_pipeline import FEATURES_PIPELINE
from local.client import results, synthetic_photos, train
from local.client.airflow_api import AirflowApi, AirflowRefused
from local.client.dag_runs import DagNotUsable, follow, wait_until_parsed
from local.client.live_log import LiveLog
from local.client.options import SYNTHETIC, RunRequest
from local.client.pack import CannotPack
from local.client.upload import CannotUpload, list_drop, upload_drop
from local.console import open_console, working

DAG = FEATURES_PIPELINE.dag_id
# what Airflow's and S3's clients raise when their server does not answer
CONNECTION_LOST = (httpx.TransportError, HTTPClientError, obstore.exceptions.GenericError)


def explain_lost_connection(error: Exception) -> str:
    """Return one line about an error of `CONNECTION_LOST`."""
    reason = str(error).partition("\n")[0] or type(error).__name__
    return f"A service no longer answers: {reason}"


@dataclass(frozen=True)
class Place:
    """Where a run happens.

    Parameters
    ----------
    airflow_url, shown_url
        Airflow's address for this process, and for the user's browser.
    emr_folder
        The state folder of the EMR service, in which the logs of a running step can be read.
    out
        Where the folder with the results of a run is created.
    """

    bucket: str
    airflow_url: str
    shown_url: str
    airflow_user: str
    airflow_password: str
    emr_folder: Path
    out: Path

    def api(self) -> AirflowApi:
        """Return a session with its Airflow."""
        return AirflowApi(self.airflow_url, user=self.airflow_user, password=self.airflow_password)


def run(place: Place, request: RunRequest) -> int:
    """Provide the photos, run the DAG and fetch its results; S3 is configured by the standard AWS variables.

    Returns
    -------
    int
        0 when the run is a success, a run that found nothing new included; 1 otherwise.

    Raises
    ------
    CONNECTION_LOST
        A server did not answer, for a minute where a run was being followed.
    """
    console = open_console()
    try:
        provide_photos(console, place.bucket, request)
        api = place.api()
        with working(f"Waiting for Airflow to parse {DAG}"):
            wait_until_parsed(api, DAG)
        with train.prepared(api) if request.train else nullcontext() as training:
            return _run_dag(place, request, api, training, console=console)
    except (CannotUpload, CannotPack, DagNotUsable, AirflowRefused) as error:
        console.print(f"{error}")
        return 1


def _run_dag(place: Place, request: RunRequest, api: AirflowApi, training: train.Training | None, *, console: Console) -> int:
    api.set_paused(DAG, is_paused=False)
    with working(f"Triggering {DAG}"):
        run_id = api.trigger(DAG, {**request.params, "drop": request.drop})
    console.print(f"{DAG}: run {run_id}, {place.shown_url}/dags/{DAG}/runs/{run_id}")
    log = LiveLog(api, place.emr_folder, place.bucket)
    ended = follow(api, DAG, run_id, console=console, log=log)
    with working("Fetching the results"):
        files = results.fetch(place.bucket, run_id, into=place.out)
    if ended.state != "success":
        results.print_failure(console, ended, files, log)
        return 1
    results.print_success(console, ended, files)
    if training is None:
        return 0
    is_published = any(task.task == "publish" and task.state == "success" for task in ended.tasks)
    return train.run(place.bucket, api, training, is_published=is_published, console=console, log=log, out=place.out)


def provide_photos(console: Console, bucket: str, request: RunRequest) -> None:
    """Upload the folder of the request, or synthetic photos into their own drop; any other drop is used as it is."""
    if request.images:
        _upload(console, request.images, bucket=bucket, drop=request.drop, is_packed=request.is_packed)
    elif request.drop == SYNTHETIC:
        console.print("photos: none given, using a synthetic set")
        with TemporaryDirectory() as scratch:
            with working("Making synthetic photos"):
                synthetic_photos.generate(Path(scratch))
            _upload(console, Path(scratch), bucket=bucket, drop=request.drop, is_packed=request.is_packed)
    else:
        existing = list_drop(bucket, request.drop).keys() - {layout.ready(request.drop)}
        packed = sum(shards.is_shard(key) for key in existing)
        count = sum(not shards.is_shard(key) and not shards.is_index(key) for key in existing)
        if not existing:
            raise CannotUpload(
                f"drop {request.drop} has no photos: there are none below {layout.uri(bucket, layout.raw_prefix(request.drop))}; "
                "give IMAGES=folder to upload some, or the name of an existing drop"
            )
        console.print(f"drop {request.drop} as it is in the bucket: single photos: {count:,}, shards: {packed:,}")


def _upload(console: Console, folder: Path, *, bucket: str, drop: str, is_packed: bool = False) -> None:
    with working("Packing and uploading photos" if is_packed else "Uploading photos") as update:
        summary = upload_drop(folder, bucket=bucket, drop=drop, is_packed=is_packed, on_progress=update)
    console.print(
        f"drop {summary.drop}: {summary.photos:,} photos of {summary.varieties} varieties; {summary.uploaded:,} sent, "
        f"{summary.unchanged:,} unchanged, {summary.ignored:,} other files ignored"
    )
