"""make bench-pca: MLlib's PCA against ours, on features with the spectrum of real ones, and ours against NumPy's SVD."""

import argparse
import io
import sys
from collections.abc import Iterator

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import children, rig
from benchmarks.contenders.fit_pca import EXTRACTOR
from benchmarks.measuring import Figures, Outcome, Ratio, main, parser, ratio
from benchmarks.rig import BUCKET, CORES, Rig
from fruits.engines import FEATURES
from fruits.features import ROWS_OUT
from fruits.photo_list import tasks_for
from fruits.storage import write_row_groups
from fruits_airflow.emr import spark_conf
from fruits_contract import layout
from local import REPO
from local.console import say

SIZES = "22688,67692"  # the photos of Fruits-360's test folder, and of its training folder, as the notebook had them
# Of 4,320 real photos (18 varieties of Fruits-360): the n-th largest mean of a feature and the n-th largest variance along a
# direction, for some n. In between a power law, which is a straight line of the logarithms.
MEANS = {1: 3.34, 10: 2.21, 50: 1.42, 100: 0.974, 200: 0.606, 400: 0.294, 800: 0.0808, 1280: 0.005}
VARIANCES = {
    1: 47.4,
    5: 10.8,
    20: 1.91,
    50: 0.538,
    100: 0.208,
    200: 0.0723,
    400: 0.0206,
    800: 0.00346,
    1200: 0.000202,
    1280: 2e-8,
}
MOST = 6.0  # MobileNetV2 ends with a ReLU6, so no feature is below 0 or above 6
# MLlib computes in the JVM: with Spark's own settings, not those of the embedded default for short jobs; both are run with them.
CONF = {"spark.driver.memory": "6g", "spark.driver.extraJavaOptions": "-XX:+UseParallelGC"}
UNITS = dict.fromkeys(
    ("from Parquet to model", "moments", "eigendecomposition", "caching the vectors", "fit of cached vectors"), "s"
)


def blocks(rows: int, *, seed: int = 0) -> Iterator[np.ndarray]:
    """Draw features, in blocks as featurize writes them into files: float32 in [0, 6], with the power laws of real ones.

    The directions are random. A third of the features is cut at 0, of real ones two fifths are 0, which spares MLlib work.
    """
    random = np.random.default_rng(seed)
    directions, _ = np.linalg.qr(random.standard_normal((FEATURES, FEATURES)))
    spread = (directions * np.sqrt(_power_law(VARIANCES))).T.astype(np.float32)
    mean = random.permutation(_power_law(MEANS)).astype(np.float32)
    rows_per_file = -(-rows // tasks_for(rows, 0, cores=CORES))
    for start in range(0, rows, rows_per_file):
        count = min(rows_per_file, rows - start)
        block = random.standard_normal((count, FEATURES), dtype=np.float32) @ spread + mean
        yield np.clip(block, 0, MOST, out=block)


def _power_law(known: dict[int, float]) -> np.ndarray:
    """Return one value per feature, from those that are known."""
    numbers = np.arange(1, FEATURES + 1)
    return np.exp(np.interp(np.log(numbers), np.log(list(known)), np.log(list(known.values()))))


def put_features(opened: Rig, rows: int) -> str:
    """Write `rows` features as Parquet files into the bucket and return their folder."""
    folder = f"features/{rows}/"
    for number, block in enumerate(blocks(rows)):
        flat = pa.array(block.reshape(-1))
        vectors = pa.ListArray.from_arrays(pa.array(np.arange(0, len(flat) + 1, FEATURES, dtype=np.int32)), flat)
        columns = {
            "path": [f"raw/bench/drawn/{number}-{row}.jpg" for row in range(len(block))],
            "label": ["drawn"] * len(block),
            "extractor": [EXTRACTOR] * len(block),
            "features": vectors,
        }
        table = pa.table(columns)
        write_row_groups(content := io.BytesIO(), table.to_batches(ROWS_OUT), table.schema)
        opened.put(f"{folder}part-{number:03}.parquet", content.getvalue())
    return folder


def read_rows(opened: Rig, folder: str) -> np.ndarray:
    """Return the features of a folder, float64."""
    keys = sorted(item["path"] for page in obstore.list(opened.store, prefix=folder) for item in page)
    parts = [pq.read_table(io.BytesIO(opened.get(key)))["features"].combine_chunks().flatten().to_numpy() for key in keys]
    return np.concatenate([part.reshape(-1, FEATURES) for part in parts], dtype=np.float64)


def exactness(opened: Rig, folder: str) -> dict[str, float]:
    """Hold the last fits against NumPy's SVD of the centred features, float64.

    Returns
    -------
    dict
        Largest error of ours in an explained variance ratio and, up to sign, in a loading of a component; the number of
        components found; and how far MLlib's explained variance ratios are from NumPy's.
    """
    with np.load(io.BytesIO(opened.get(f"{folder.replace('features/', 'fits/', 1).rstrip('/')}.npz"))) as stored:
        fits = dict(stored)
    rows = read_rows(opened, folder)
    rows -= rows.mean(axis=0)
    _, values, axes = np.linalg.svd(rows, full_matrices=False)
    ratios = values**2 / np.sum(values**2)
    components = fits["components"]
    expected = axes[: len(components)]
    expected = expected * np.sign(np.sum(expected * components, axis=1))[:, None]
    return {
        "components": len(components),
        "max_ratio_error": float(np.abs(fits["spectrum"] - ratios).max()),
        "max_component_error": float(np.abs(components - expected).max()),
        "mllib_max_ratio_error": float(np.abs(fits["mllib"] - ratios[: len(fits["mllib"])]).max()),
    }


def measure(arguments: argparse.Namespace) -> Outcome:
    """Write the features, fit in turns, compare."""
    sizes = [int(word) for word in arguments.sizes.split(",")]
    with rig.open_rig() as opened:
        code = rig.publish(opened)
        folders = {}
        for rows in sizes:
            say(f"writing {rows:,} x {FEATURES:,} features")
            folders[put_features(opened, rows)] = rows
        script = REPO / "benchmarks" / "contenders" / "fit_pca.py"
        package = layout.uri(BUCKET, layout.package_zip(code.release))
        words = ["spark-submit", *spark_conf.step_arguments(), "--py-files", package, str(script)]
        words = rig.submit_words([*words, BUCKET, str(arguments.repetitions), *folders], conf=CONF)
        say(f"fitting, {arguments.repetitions} rounds of each size")
        answer = children.run(words, env=opened.env, folder=opened.scratch("fit_pca")).answer
        say("NumPy's SVD")
        exact = {str(rows): exactness(opened, folder) for folder, rows in folders.items()}
    figures = Figures()
    names = dict(zip(("seconds", "moments_s", "eigen_s", "cache_s", "fit_s"), UNITS, strict=True))
    for folder, contenders in answer.items():
        for contender, measured in contenders.items():
            figures.samples[f"{contender}, {folders[folder]:,} rows"] = {names[what]: values for what, values in measured.items()}
    return Outcome(
        figures=figures,
        ratios=ratios(figures, sizes, exact),
        units=UNITS,
        settings={"sizes": sizes, "features": FEATURES, "spark": CONF},
        checks={"against NumPy's SVD": exact},
    )


def ratios(figures: Figures, sizes: list[int], exact: dict[str, dict[str, float]]) -> dict[str, Ratio]:
    """Return MLlib's time over ours: from Parquet on, and for its fit of vectors that are cached already."""
    found: dict[str, dict[str, float]] = {"vs_mllib": {}, "vs_mllib_cached": {}}
    for rows in sizes:
        whole = figures.of(f"ours, {rows:,} rows", "from Parquet to model")
        for name, theirs in (("vs_mllib", "from Parquet to model"), ("vs_mllib_cached", "fit of cached vectors")):
            found[name][str(rows)] = ratio(figures.of(f"mllib, {rows:,} rows", theirs), whole)
    return {**found, "max_ratio_error": max(errors["max_ratio_error"] for errors in exact.values())}


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this benchmark."""
    made = parser("pca", __doc__)
    made.add_argument("--sizes", default=SIZES, metavar="N,N", help="rows of features (default: %(default)s)")
    return made


if __name__ == "__main__":
    sys.exit(main("pca", arguments().parse_args(), measure))
