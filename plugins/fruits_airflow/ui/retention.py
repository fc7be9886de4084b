"""The page of what is kept and since when: the last check by the task `enforce_retention`."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from fruits_airflow.retention import KEPT, LIMIT, read_last_check
from fruits_airflow.ui import access
from fruits_airflow.ui.pages import render
from fruits_airflow.ui.project import BucketDep

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/retention", dependencies=access.READS_RUNS)
def retention(bucket: BucketDep) -> str:
    """Return the page: the oldest object of each prefix, and what was deleted."""
    return render("retention.html", root="", check=read_last_check(bucket), kept_days=KEPT.days, limit_days=LIMIT.days)
