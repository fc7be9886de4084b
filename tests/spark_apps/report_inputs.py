"""A report of made-up projections, without Spark: for the page's tests in a browser, and for what a run does not have."""

import io
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from fruits.clusters import Contingency, fit_centers, nearest_centers
from fruits.pca import Moments, fit
from fruits.photo_map import PhotoMap
from fruits.projected_sample import Survey, survey_rows
from fruits.report import ReportInputs, figures_of
from fruits.report_page import page
from fruits.saved_pca import PcaCard
from fruits.thumbnails import thumbnail
from fruits_contract import columns, layout
from fruits_contract.features_pipeline import FeaturesRunParams
from fruits_contract.manifest import Finding, Manifest
from fruits_contract.plan_summary import PlanSummary

STARTED = "2026-11-22T03:00:00+00:00"
PLAN = PlanSummary(instance="m7a.xlarge", nodes=2, expected_seconds=600, spot_usd=0.11, on_demand_usd=0.2, s3_usd=0.004)
K = 4


def photo(color: tuple[int, int, int]) -> bytes:
    """A JPEG of one color."""
    out = io.BytesIO()
    Image.new("RGB", (60, 60), color).save(out, "JPEG")
    return out.getvalue()


def surveyed(varieties: dict[str, int], *, is_contributed: bool = False) -> Survey:
    """Projections of so many photos per variety, each around a place of its own."""
    random = np.random.default_rng(0)
    paths, labels, vectors = [], [], []
    for number, (variety, count) in enumerate(varieties.items()):
        center = random.normal(scale=4, size=K)
        for photo_number in range(count):
            image = f"{photo_number}.jpg"
            if is_contributed:
                image = f"contributed-20261122-{photo_number:032x}.jpg"
            paths.append(layout.raw_image("first", variety, image))
            labels.append(variety)
            vectors.append((center + random.normal(size=K)).astype(np.float32) + number)
    rows = pa.RecordBatch.from_arrays(
        [pa.array(paths, pa.string()), pa.array(labels, pa.string()), pa.array(vectors, pa.list_(pa.float32()))],
        schema=columns.arrow_schema(columns.PROJECTED),
    )
    return survey_rows(rows, k=K, count=1000)


@dataclass(frozen=True)
class MadeReport:
    """A page and what it was made of."""

    text: str
    figures: dict[str, Any]
    photos: PhotoMap


def made(
    *,
    varieties: dict[str, int] | None = None,
    rejects: int = 0,
    shown: list[dict[str, str]] | None = None,
    findings: tuple[Finding, ...] = (),
    with_pictures: bool = True,
    plan: PlanSummary | None = PLAN,
    is_contributed: bool = False,
) -> MadeReport:
    """Make a report; each photo's thumbnail has a color of its own."""
    photos_of = {"Apple": 30, "Apricot": 30, "b & <c>": 30} if varieties is None else varieties
    survey = surveyed(photos_of, is_contributed=is_contributed)
    sample = survey.sample
    pca = fit(Moments.of(np.random.default_rng(0).normal(size=(30, 6))), components=K)
    thumbnails = {
        path: thumbnail(photo((number * 2 % 256, 40, 255 - number * 2 % 256))) for number, path in enumerate(sample.paths)
    }
    centers = fit_centers(sample.vectors, clusters=len(survey.varieties))
    nearest = nearest_centers(sample.vectors, centers).tolist() if len(sample) else []
    pairs = Counter(zip(sample.labels.tolist(), nearest, strict=True))
    photos = PhotoMap.of(sample, thumbnails if with_pictures else {})
    count = len(sample)
    reasons = {"empty": rejects} if rejects else {}
    featurized = Manifest(
        "featurize",
        "r1",
        STARTED,
        2.0,
        rows_in=count + rejects,
        rows_out=count,
        rows_rejected=rejects,
        figures={"reasons": reasons, "driver_memory_mb": 123, "workers_memory_mb": 1234},
    )
    transformed = Manifest("transform_pca", "r1", STARTED, 0.0, rows_out=count, figures={"explained_variance": None})
    inputs = ReportInputs(
        params=FeaturesRunParams(bucket="b", run="r1", release="v1", drop="first", extractor="e" * 64, pca="p1"),
        manifests=[featurized, transformed, Manifest("validate", "r1", STARTED, 1.0, findings=findings)],
        card=PcaCard("p1", "e" * 64, K, pca.explained, 30, 0.7, K, STARTED),
        pca=pca,
        varieties=survey.varieties,
        clusters=Contingency.of(pairs, clusters=len(centers)),
        photo_map=photos,
        rejected=shown or [],
        plan=plan,
        seconds=1.0,
    )
    figures = {**figures_of(inputs), "drift": None}
    return MadeReport(page(figures, photos), figures, photos)
