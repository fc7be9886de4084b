"""The report's figures as plain data, `report.json`; `fruits.report_page` renders them.

Reads nothing by itself: manifests and arrays in, data out.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fruits.clusters import Contingency, mixed_clusters
from fruits.pca import Pca
from fruits.photo_map import PhotoMap
from fruits.projected_sample import VarietySums
from fruits.saved_pca import PcaCard
from fruits_contract.features_pipeline import FEATURIZE, TRANSFORM_PCA, FeaturesRunParams
from fruits_contract.manifest import Manifest
from fruits_contract.plan_summary import PlanSummary

SPECTRUM_SHOWN = 20  # components at least, or twice as many as are kept


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """What a report is made of.

    Parameters
    ----------
    manifests
        Of the stages before the report.
    varieties
        Sums over all projected photos of each variety.
    clusters
        Photos by variety and cluster.
    rejected
        The first rejects: path, reason and detail of each.
    plan
        None where the run was planned by an earlier release.
    seconds
        Of the report itself so far.
    """

    params: FeaturesRunParams
    manifests: list[Manifest]
    card: PcaCard
    pca: Pca
    varieties: dict[str, VarietySums]
    clusters: Contingency
    photo_map: PhotoMap
    rejected: list[dict[str, Any]]
    plan: PlanSummary | None
    seconds: float


def figures_of(inputs: ReportInputs) -> dict[str, Any]:
    """Return the report's figures, the content of `report.json` but the comparison with the previous run."""
    manifests = inputs.manifests
    by_stage = {manifest.stage: manifest for manifest in manifests}
    featurized, transformed = by_stage[FEATURIZE.name], by_stage[TRANSFORM_PCA.name]
    findings = [finding for manifest in manifests for finding in manifest.findings]
    return {
        "run": featurized.run,
        "drop": inputs.params.drop,
        "mode": inputs.params.mode,
        "release": inputs.params.release,
        "verdict": verdict_of([finding.severity for finding in findings]),
        "images": featurized.rows_in,
        "features": featurized.rows_out,
        "rejects": featurized.rows_rejected,
        "reject_reasons": featurized.figures["reasons"],
        "rejected": inputs.rejected,
        "projected": transformed.rows_out,
        "pca": asdict(inputs.card),
        "spectrum": _spectrum(inputs.pca),
        "explained_variance_of_this_run": transformed.figures["explained_variance"],
        "seconds": round(sum(manifest.seconds for manifest in manifests) + inputs.seconds, 1),
        "cost": asdict(inputs.plan) if inputs.plan else None,
        "stages": [_stage(manifest) for manifest in manifests],
        "digests": {name: value for manifest in manifests for name, value in manifest.digests.items()},
        "findings": [asdict(finding) for finding in findings],
        "varieties": _varieties(inputs),
        "clusters": {
            "count": inputs.clusters.counts.shape[1],
            "adjusted_rand_index": inputs.clusters.adjusted_rand_index,
            "normalized_mutual_information": inputs.clusters.normalized_mutual_information,
            "purity": inputs.clusters.purity,
            "counts": inputs.clusters.counts.tolist(),
            "mixed": [[list(member) for member in members] for members in mixed_clusters(inputs.clusters)],
        },
        "map": inputs.photo_map.to_data(),
    }


def headline_of(figures: dict[str, Any]) -> dict[str, Any]:
    """Return what the page of all runs shows of the report's figures, for the stage's manifest."""
    cost = figures["cost"]
    return {
        "verdict": figures["verdict"],
        "red": [finding["message"] for finding in figures["findings"] if finding["severity"] == "red"],
        "started_at": figures["stages"][0]["started_at"],
        "images": figures["images"],
        "rejects": figures["rejects"],
        "k": figures["pca"]["k"],
        "seconds": figures["seconds"],
        "usd": cost["spot_usd"] + cost["s3_usd"] if cost else None,
    }


def verdict_of(severities: list[str]) -> str:
    """Return the outcome of the checks in a sentence."""
    red, warnings = severities.count("red"), severities.count("warning")
    if red:
        return f"Red: {red} finding{'s' if red > 1 else ''}; not published."
    if warnings:
        return f"Green with {warnings} warning{'s' if warnings > 1 else ''}: no check keeps the run from being published."
    return "Green: every check holds."


def _spectrum(pca: Pca) -> list[float]:
    shown = max(2 * len(pca.components), SPECTRUM_SHOWN)
    positive = max(1, int(np.count_nonzero(pca.spectrum > 1e-12)))
    shares: list[float] = pca.spectrum[: min(shown, positive)].tolist()
    return shares


def _stage(manifest: Manifest) -> dict[str, Any]:
    return {
        "stage": manifest.stage,
        "started_at": manifest.started_at,
        "seconds": manifest.seconds,
        "images_per_second": round(manifest.rows_in / manifest.seconds, 1) if manifest.seconds else None,
        "driver_memory_mb": manifest.figures.get("driver_memory_mb"),
        "workers_memory_mb": manifest.figures.get("workers_memory_mb"),
    }


def _varieties(inputs: ReportInputs) -> list[dict[str, Any]]:
    counts = dict(zip(inputs.clusters.varieties, inputs.clusters.counts, strict=True))
    return [
        {
            "name": name,
            "photos": sums.count,
            "in_one_cluster": float(counts[name].max() / sums.count) if name in counts else None,
            "mean": [float(f"{value:.5g}") for value in sums.mean],
            "spread": sums.spread,
        }
        for name, sums in sorted(inputs.varieties.items())
    ]
