"""Who may open a page, and what a page may load: Airflow's login, and Content-Security-Policy."""

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends
from starlette.responses import Response

from fruits_airflow.ui.same_origin import check_same_origin
from fruits_contract.features_pipeline import FEATURES_PIPELINE
from fruits_contract.pipelines import PIPELINES

# The pages of this plugin: their own style and script, and reports in a frame.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; frame-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
# The review sends decisions, and shows photos that it has received as data.
REVIEW_POLICY = PAGE_POLICY.replace("img-src 'self'", "img-src 'self' blob:") + "; connect-src 'self'"
# Reports and model cards are written by a run, and names of photos are in them. Their scripts run in an origin of their own,
# without the login of the reader, and can load nothing and send nothing.
DOCUMENT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
_MAY_READ_RUNS = [requires_access_dag("GET", DagAccessEntity.RUN, pipeline.dag_id) for pipeline in PIPELINES]
_MAY_READ_LOGS = [requires_access_dag("GET", DagAccessEntity.TASK_LOGS, pipeline.dag_id) for pipeline in PIPELINES]
# Who may start the DAG decides what it learns from.
_MAY_TRIGGER_RUNS = requires_access_dag("POST", DagAccessEntity.RUN, FEATURES_PIPELINE.dag_id)

# Lists of FastAPI dependencies. An anonymous request is answered with 401, a user without the permission with 403.
READS_RUNS = [Depends(check) for check in _MAY_READ_RUNS]
READS_LOGS = [Depends(check) for check in _MAY_READ_LOGS]
REVIEWS = [Depends(_MAY_TRIGGER_RUNS)]
DECIDES = [*REVIEWS, Depends(check_same_origin)]


def set_headers(response: Response) -> Response:
    """Add the headers that every response has; a response's own policy is kept."""
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers.setdefault("Cache-Control", "private, no-store")
    return response
