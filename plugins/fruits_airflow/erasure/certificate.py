"""The certificate of an erasure: what was removed, what was checked, which models may have been trained with it."""

import json
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import jinja2

from fruits_airflow.bucket import Bucket
from fruits_airflow.erasure.subjects import Subject
from fruits_airflow.erasure.trained_models import Models
from fruits_contract import layout

CHECKED = (
    "the names of all objects in the bucket, in all versions",
    "the rows of all files of the tables written since the photo was received, published or not",
    "the text of all outputs of runs, model cards and logs written since then, in all versions",
)


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """One erasure; a request that is repeated has several.

    Parameters
    ----------
    contributions
        Number of photos that it was about.
    removed
        Number of things by place; empty where nothing was found.
    models
        Ids of models that may have been trained with the photos, by kind.
    """

    requested_at: str
    began_at: str
    finished_at: str
    contributions: int
    removed: dict[str, int]
    models: Models
    checked: tuple[str, ...] = CHECKED

    @classmethod
    def of(cls, subject: Subject, *, models: Models, finished_at: str) -> "Erasure":
        """Describe the erasure of a subject: numbers only."""
        return cls(
            requested_at=subject.request.requested_at,
            began_at=subject.began_at,
            finished_at=finished_at,
            contributions=len(subject.contributions),
            removed={place: len(things) for place, things in sorted(subject.removed.items())},
            models=models,
            checked=CHECKED if subject.contributions else (),  # for a contributor without photos there is nothing to look for
        )


def write_certificate(bucket: Bucket, request: str, erasure: Erasure) -> dict[str, Any]:
    """Write the certificate as data and as a page; those of earlier requests of the same name stay in it.

    Returns
    -------
    dict
        The erasure as certified: that of an earlier call, which was killed before it could delete the request, is kept.
    """
    earlier = read_certificate(bucket, request).get("erasures", [])
    same = [each for each in earlier if each["requested_at"] == erasure.requested_at]
    certified = asdict(erasure) if erasure.removed or not same else same[0]
    data = {"request": request, "erasures": [certified, *(each for each in earlier if each not in same)]}
    bucket.write(layout.erasure_certificate_page(request), _template().render(data).encode())
    bucket.write(layout.erasure_certificate(request), (json.dumps(data, indent=1) + "\n").encode())
    return certified


def read_certificate(bucket: Bucket, request: str) -> dict[str, Any]:
    """Return a certificate; {} where there is none."""
    data: dict[str, Any] = bucket.read_json(layout.erasure_certificate(request)) or {}
    return data


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fruits_airflow.erasure", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("certificate.html")
