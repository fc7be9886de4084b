"""Renders the pages: values in, HTML out."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jinja2

from fruits_airflow.ui import trend


def render(template: str, **values: Any) -> str:
    """Return a page; names from the bucket are escaped."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fruits_airflow.ui"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["chart"] = {"width": trend.WIDTH, "height": trend.HEIGHT}
    environment.filters["count"] = _figure("{:,}")
    environment.filters["seconds"] = _figure("{:,.0f}")
    environment.filters["usd"] = _figure("{:,.2f}")
    environment.filters["percent"] = _figure("{:.1%}")
    environment.filters["minute"] = _minute
    return environment


def _figure(form: str) -> Callable[[float | None], str]:
    def formatted(value: float | None) -> str:
        return "-" if value is None else form.format(value)

    return formatted


def _minute(at: str) -> str:
    """Return an ISO 8601 time up to the minute."""
    return at[:16].replace("T", " ")
