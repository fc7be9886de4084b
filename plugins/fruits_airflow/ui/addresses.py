"""Addresses of the pages: below the API server, and inside Airflow's UI. Imported by tasks, so it loads nothing heavy."""

from importlib.metadata import version
from urllib.parse import urlsplit

from packaging.version import Version

from fruits_contract import layout

# Airflow 3.0 has no place for a plugin's page in its UI, and its API server does not accept the browser's cookie
# (docs/decisions/0032). The pages were not tried on 3.1.
HAS_PAGES = Version(version("apache-airflow")) >= Version("3.2.0")
PREFIX = "/fruits"
# Airflow's UI shows the page /fruits/... in a frame at /plugin/<UI_ROUTE>/fruits/...
UI_ROUTE = "fruits"


def report(run: str) -> str:
    """Return the page of a run's report, relative to the page of all runs."""
    return f"runs/{layout.check_name(run, what='run')}"


def card(run: str) -> str:
    """Return the page of the model card of a run of `fruits_classifier`, relative to the page of all runs."""
    return f"trainings/{layout.check_name(run, what='run')}"


def step_log(cluster: str, step: str) -> str:
    """Return the page of a step's log, relative to the page of all runs."""
    return f"logs/{layout.check_name(cluster, what='cluster')}/{layout.check_name(step, what='step')}"


def spark_history(cluster: str) -> str:
    """Return the page that leads to a cluster's Spark history, relative to the page of all runs."""
    return f"spark/{layout.check_name(cluster, what='cluster')}"


def in_airflow(page: str) -> str:
    """Return the address of a page inside Airflow's UI; without a host where `[api] base_url` is not set."""
    base_url = _base_url()
    return f"{base_url}/plugin/{UI_ROUTE}{urlsplit(base_url).path}{PREFIX}/{page}"


def by_itself(page: str) -> str:
    """Return the address of a page outside Airflow's frame, for one that leads to another site."""
    return f"{_base_url()}{PREFIX}/{page}"


def _base_url() -> str:
    from airflow.configuration import conf

    return (conf.get("api", "base_url", fallback="") or "").rstrip("/")
