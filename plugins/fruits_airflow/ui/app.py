"""The plugin's web application, mounted by Airflow's API server at /fruits. Every route requires Airflow's login."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse
from starlette.responses import RedirectResponse, Response

from fruits_airflow.bucket import AWS_CONN_ID, Bucket
from fruits_airflow.contributions import queued
from fruits_airflow.emr.spark_history import NoSparkHistory, spark_history_address
from fruits_airflow.run_cost import cost_of_month
from fruits_airflow.run_params import read_run_params
from fruits_airflow.settings import InvalidSettings, Settings
from fruits_airflow.ui import access, addresses, erasures, retention, review
from fruits_airflow.ui.airflow_runs import AirflowRun, runs_of_dag
from fruits_airflow.ui.features_runs import FeaturesRun, read_runs
from fruits_airflow.ui.pages import render
from fruits_airflow.ui.project import BucketDep
from fruits_airflow.ui.step_log import read_step_log
from fruits_airflow.ui.trainings import read_trainings
from fruits_airflow.ui.trend import Trend, trend
from fruits_contract import layout
from fruits_contract.classifier_pipeline import CLASSIFIER_PIPELINE, EVALUATE_CLASSIFIER
from fruits_contract.features_pipeline import FEATURES_PIPELINE, REPORT

STATIC = Path(__file__).parent / "static"
STATIC_FILES = {"pages.css": "text/css", "pages.js": "text/javascript", "review.js": "text/javascript"}

# Without FastAPI's own pages, to which dependencies do not apply.
app = FastAPI(
    title="Fruits",
    dependencies=[Depends(get_user)],
    openapi_url=None,
    docs_url=None,
    redoc_url=None,
    default_response_class=HTMLResponse,
)
app.include_router(erasures.router)
app.include_router(retention.router)
app.include_router(review.router)


def emr_client() -> Any:
    """Return a boto3 client of EMR, with the credentials of Airflow's connection."""
    from airflow.providers.amazon.aws.hooks.emr import EmrHook

    return EmrHook(aws_conn_id=AWS_CONN_ID, emr_conn_id=None, region_name=Settings.load().region).conn


EmrDep = Annotated[Any, Depends(emr_client)]


def airflow_runs(session: SessionDep) -> dict[str, dict[str, AirflowRun]]:
    """Return the DAG runs that Airflow knows, by DAG and name of the run."""
    return {dag.dag_id: runs_of_dag(session, dag.dag_id) for dag in (FEATURES_PIPELINE, CLASSIFIER_PIPELINE)}


AirflowRunsDep = Annotated[dict[str, dict[str, AirflowRun]], Depends(airflow_runs)]


@app.middleware("http")
async def add_headers(request: Request, call_next: Any) -> Response:
    """Give every response, refusals included, the security headers."""
    response: Response = await call_next(request)
    return access.set_headers(response)


@app.exception_handler(InvalidSettings)
def no_settings(request: Request, error: InvalidSettings) -> Response:
    """Explain what the deployment lacks."""
    return HTMLResponse(render("problem.html", title="Not set up", problem=str(error), root=_root(request)), status_code=503)


@app.exception_handler(layout.InvalidName)
def invalid_name(request: Request, error: layout.InvalidName) -> Response:
    """Answer an address that cannot exist."""
    return HTMLResponse(render("problem.html", title="Not found", problem=str(error), root=_root(request)), status_code=404)


@app.exception_handler(FileNotFoundError)
def not_found(request: Request, error: FileNotFoundError) -> Response:
    """Answer an address whose object is not in the bucket."""
    problem = "There is nothing here yet: the stage that writes it has not run, or it has failed."
    return HTMLResponse(render("problem.html", title="Not found", problem=problem, root=_root(request)), status_code=404)


@app.exception_handler(NoSparkHistory)
def no_spark_history(request: Request, error: NoSparkHistory) -> Response:
    """Explain why EMR shows no history."""
    return HTMLResponse(
        render("problem.html", title="No Spark history", problem=str(error), root=_root(request)), status_code=404
    )


@app.get("/", dependencies=access.READS_RUNS)
def all_runs(bucket: BucketDep, known: AirflowRunsDep) -> str:
    """Return the page of all runs: figures, trends, and the classifiers."""
    runs = read_runs(bucket, known[FEATURES_PIPELINE.dag_id])
    trainings = read_trainings(bucket, known[CLASSIFIER_PIPELINE.dag_id])
    return render(
        "runs.html",
        root="",
        runs=runs,
        trends=_trends(runs),
        trainings=trainings,
        addresses=addresses,
        waiting=len(queued(bucket)),
        cost=cost_of_month(bucket, f"{datetime.now(UTC):%Y-%m}"),
    )


@app.get("/runs/{run}", dependencies=access.READS_RUNS)
def report(run: str, bucket: BucketDep) -> str:
    """Return the page of a run: its report in a frame."""
    params = read_run_params(bucket, layout.check_name(run, what="run"))
    bucket.read(layout.manifest(run, REPORT.name))
    return render(
        "document.html",
        root="../",
        title=f"Report of drop {params.get('drop', '')}",
        dag_id=FEATURES_PIPELINE.dag_id,
        dag_run_id=params.get("dag_run_id"),
        document=f"{run}/report.html",
    )


@app.get("/runs/{run}/report.html", dependencies=access.READS_RUNS)
def report_document(run: str, bucket: BucketDep) -> Response:
    """Return the report itself."""
    return _document(bucket, layout.report_page(layout.check_name(run, what="run")))


@app.get("/trainings/{run}", dependencies=access.READS_RUNS)
def card(run: str, bucket: BucketDep) -> str:
    """Return the page of a training: the model card of its classifier in a frame."""
    evaluated = bucket.read_json(layout.manifest(layout.check_name(run, what="run"), EVALUATE_CLASSIFIER.name))
    if evaluated is None:
        raise FileNotFoundError(run)
    params = read_run_params(bucket, run)
    model_id = evaluated["digests"]["classifier"]
    return render(
        "document.html",
        root="../",
        title=f"Classifier {model_id}",
        dag_id=CLASSIFIER_PIPELINE.dag_id,
        dag_run_id=params.get("dag_run_id"),
        document=f"../classifiers/{model_id}/card.html",
    )


@app.get("/classifiers/{model_id}/card.html", dependencies=access.READS_RUNS)
def card_document(model_id: str, bucket: BucketDep) -> Response:
    """Return the model card itself."""
    return _document(bucket, layout.classifier_card_page(layout.check_name(model_id, what="classifier")))


@app.get("/logs/{cluster}/{step}", dependencies=access.READS_LOGS)
def step_log(cluster: str, step: str, bucket: BucketDep) -> str:
    """Return the page with what an EMR step wrote."""
    layout.check_name(cluster, what="cluster")
    layout.check_name(step, what="step")
    outputs = read_step_log(bucket, cluster=cluster, step=step)
    return render("step_log.html", root="../../", cluster=cluster, step=step, outputs=outputs)


@app.get("/spark/{cluster}", dependencies=access.READS_LOGS)
def spark_history(cluster: str, bucket: BucketDep, emr: EmrDep) -> Response:
    """Lead to the Spark history of a cluster. The address is in the redirect only, which is not stored."""
    layout.check_name(cluster, what="cluster")
    return RedirectResponse(spark_history_address(emr, cluster, bucket=bucket.name), status_code=303)


@app.get("/static/{name}")
def static(name: str) -> FileResponse:
    """Return the style or the script of the pages."""
    if name not in STATIC_FILES:
        raise HTTPException(404)
    return FileResponse(STATIC / name, media_type=STATIC_FILES[name])


def _document(bucket: Bucket, key: str) -> Response:
    return Response(bucket.read(key), media_type="text/html", headers={"Content-Security-Policy": access.DOCUMENT_POLICY})


def _root(request: Request) -> str:
    """Return the way from a page to the page of all runs."""
    below = request.url.path.removeprefix(request.scope.get("root_path", "")).strip("/")
    return "../" * below.count("/")


def _trends(runs: list[FeaturesRun]) -> list[Trend]:
    trends = [
        trend("photos", [run.photos for run in runs]),
        trend("rejects", [run.rejects for run in runs]),
        trend("k", [run.k for run in runs]),
        trend("seconds", [run.seconds for run in runs]),
        trend("USD", [run.usd for run in runs]),
    ]
    return [found for found in trends if found]
