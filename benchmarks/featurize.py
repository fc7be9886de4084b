"""make bench-featurize: photos in S3 to features in Parquet, by this project, the notebook's pattern, Ray Data and Daft.

Beside them the engine limit: the same decoding and engine with the photos in memory.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import command_line, commands
from benchmarks.commands import CannotMeasure
from benchmarks.embedded_services import BUCKET, s3_only
from benchmarks.featurize_step import (
    DROP,
    features_by_photo,
    run_step,
    upload_code,
    upload_photos,
    write_photo_list,
)
from benchmarks.results import CORES, REPO, Ratio, Results
from benchmarks.rounds import Rounds, Samples, alternate
from fruits.storage import Storage
from fruits_contract import layout
from fruits_contract.features_pipeline import ENGINES
from local.client.upload import find_photos
from release import extractor

MAX_DIFFERENCE = 1e-3
MIN_STEADY_PHOTOS = 1000  # for fewer, the difference of two runs is noise
NOTEBOOK = REPO / "benchmarks" / "contenders" / "notebook.py"
NOTEBOOK_DROP, PACKED_DROP = "notebook", "packed"
PEERS = {"ray": "ray_data", "daft": "daft_frame"}
PEERS_PYTHON = REPO / ".venv-peers" / "bin" / "python"
PEERS_LOCK = REPO / "benchmarks" / "requirements-peers.txt"
RATE, SHORT, LONG = "images/s", "whole process, few photos (s)", "whole process, cold (s)"
STEADY_ENGINE = "litert"  # of the cold runs
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# No telemetry; and Ray listens on the loopback interface only, by default it listens on all.
PEERS_ENV = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "DO_NOT_TRACK": "1"}


class Contest:
    """The contenders, with one set of photos on one server; each method measures one round.

    Parameters
    ----------
    count
        Photos of a run of ours. The others get a fixed share of it: the notebook's pattern is slow, and Ray Data, Daft and ours
        run twice from a cold start.
    """

    def __init__(self, images: Path, *, count: int, scratch: Path) -> None:
        self.count = count
        self.long_count = max(count * 432 // 1000, 2)
        self.short_count = max(self.long_count // 10, 1)
        self.notebook_count = max(count // 13, 1)
        self.photos = upload_photos(images, count=count)
        self.packed = upload_photos(images, count=count, drop=PACKED_DROP, is_packed=True)
        upload_photos(images, count=self.notebook_count, drop=NOTEBOOK_DROP)
        self.code = upload_code()
        self.network = extractor.ensure()
        self.photo_files = scratch / "photo_files.txt"
        self.photo_files.write_text("\n".join(map(str, find_photos(images, drop=DROP)[0].values())))
        self.expected: dict[str, np.ndarray] = {}
        self.differences: dict[str, float] = {}

    def contenders(self, engines: Iterable[str]) -> dict[str, Callable[[], Samples]]:
        """Return all contenders by name."""
        found: dict[str, Callable[[], Samples]] = {}
        for engine in engines:
            found[f"ours, {engine}"] = partial(self.ours, engine)
            found[f"ours packed, {engine}"] = partial(self.ours_packed, engine)
            if engine != "auto":
                found[f"engine limit, {engine}"] = partial(self.engine_limit, engine)
        return {
            **found,
            "notebook": self.notebook,
            "ours, cold": partial(self.cold, self.ours_cold_s),
            "ours packed, cold": partial(self.cold, self.packed_cold_s),
            "ray": partial(self.cold, partial(self.peer_cold_s, "ray")),
            "daft": partial(self.cold, partial(self.peer_cold_s, "daft")),
        }

    def ours(self, engine: str) -> Samples:
        """Run the step on all photos."""
        done = run_step(self.code, self.photos, run="ours", engine=engine)
        self.expected = self.expected or features_by_photo(done.folder)
        self._check(f"ours, {engine}", done.folder, count=self.count)
        return {RATE: done.images_per_s, "Spark's start (s)": done.process_s - done.manifest.seconds}

    def ours_packed(self, engine: str) -> Samples:
        """Run the step on the same photos in shards."""
        done = run_step(self.code, self.packed, run="packed", engine=engine)
        self._check(f"ours packed, {engine}", done.folder, count=self.count, drop=PACKED_DROP)
        return {RATE: done.images_per_s}

    def engine_limit(self, engine: str) -> Samples:
        """Run decoding and network alone, and the network alone."""
        model = self.network.keras_path() if engine == "tensorflow" else self.network.path()
        files = [str(model), str(self.photo_files)]
        argv = [sys.executable, "-m", "benchmarks.contenders.engine_limit", engine, *files, str(CORES), str(self.count // 2)]
        result = commands.run(argv, env=ONE_THREAD).result
        return {RATE: result["images_per_s"], f"{RATE}, network alone": result["network_images_per_s"]}

    def notebook(self) -> Samples:
        """Run the notebook's pattern on its own drop."""
        folder = "peers/notebook/"
        # Spark's default JVM options, not those of the embedded services for short jobs
        submit = ["spark-submit", "--conf", "spark.driver.extraJavaOptions=", str(NOTEBOOK)]
        photos, out = (layout.uri(BUCKET, key) for key in (layout.raw_prefix(NOTEBOOK_DROP), folder))
        result = commands.run([*submit, photos, str(self.network.keras_path()), out], env={"TF_CPP_MIN_LOG_LEVEL": "3"}).result
        self._check("notebook", folder, count=self.notebook_count, drop=NOTEBOOK_DROP)
        return {RATE: result["images_per_s"], f"{RATE}, whole": result["whole_images_per_s"]}

    def cold(self, seconds_of: Callable[[int], float]) -> Samples:
        """Run a contender on few photos and on many, each in its own process.

        The start is part of both, and so not of their difference, the steady state.
        """
        return {SHORT: seconds_of(self.short_count), LONG: seconds_of(self.long_count)}

    def ours_cold_s(self, count: int) -> float:
        """Return the seconds of the whole `spark-submit`."""
        return run_step(self.code, self.photos[:count], run="cold").process_s

    def packed_cold_s(self, count: int) -> float:
        """Return the same for photos in shards."""
        return run_step(self.code, self.packed[:count], run="cold").process_s

    def peer_cold_s(self, name: str, count: int) -> float:
        """Return the seconds of a peer's whole process."""
        folder = f"peers/{name}/"
        keys = (write_photo_list(self.photos[:count], run=name), layout.extractor(self.code.extractor), folder)
        argv = [str(PEERS_PYTHON), "-m", f"benchmarks.contenders.{PEERS[name]}", *(f"{BUCKET}/{key}" for key in keys), str(CORES)]
        done = commands.run(argv, env=PEERS_ENV)
        self._check(name, folder, count=count)
        return done.seconds

    def _check(self, name: str, folder: str, *, count: int, drop: str = DROP) -> None:
        """Compare a contender's features with those of our first run, then delete them."""
        features = features_by_photo(folder)
        Storage(BUCKET).delete_folder(folder)
        if len(features) != count:
            raise CannotMeasure(f"{len(features)} of {count} photos have features")
        found = {key.replace(layout.raw_prefix(drop), layout.raw_prefix(DROP), 1): vector for key, vector in features.items()}
        difference = largest_difference(found, self.expected)
        self.differences[name] = max(difference, self.differences.get(name, 0.0))
        if difference > MAX_DIFFERENCE:
            raise CannotMeasure(f"its features differ by {difference:.3g} from ours, more than {MAX_DIFFERENCE}")


def largest_difference(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> float:
    """Return the largest difference of any feature of the photos in `found`."""
    if unknown := found.keys() - expected.keys():
        raise CannotMeasure(f"{len(unknown)} photos have no features of ours to compare with, e.g. {min(unknown)}")
    return max(float(np.abs(found[key] - expected[key]).max()) for key in found)


def measure(arguments: argparse.Namespace) -> Results:
    """Upload once, then run all contenders in turns."""
    engines = arguments.engines.split(",")
    if unknown := set(engines) - set(ENGINES):
        raise CannotMeasure(f"engine {', '.join(sorted(unknown))} is not known; expected some of {', '.join(ENGINES)}")
    with s3_only() as scratch:
        contest = Contest(arguments.images, count=arguments.photos, scratch=scratch)
        contenders = {
            name: run
            for name, run in contest.contenders(engines).items()
            if any(word in name for word in arguments.only.split(","))
        }
        rounds = alternate(contenders, repetitions=arguments.repetitions, skip_failed=True)
    further_photos = contest.long_count - contest.short_count
    return Results(
        rounds,
        ratios=ratios(rounds, engines, further_photos=further_photos),
        settings={
            "photos": contest.count,
            "notebook_photos": contest.notebook_count,
            "cold_photos": [contest.short_count, contest.long_count],
            **dict(re.findall(r"^(ray|daft)==(\S+)", PEERS_LOCK.read_text(), re.MULTILINE)),
        },
        checks={
            "steady images/s": {
                name: further_photos / steady_s(rounds, name)
                for name, figures in rounds.samples.items()
                if LONG in figures and further_photos >= MIN_STEADY_PHOTOS
            },
            "largest difference from ours": contest.differences,
        },
    )


def ratios(rounds: Rounds, engines: Iterable[str], *, further_photos: int) -> dict[str, Ratio]:
    """Return the ratios of the contenders that were measured, each larger where ours is faster.

    Parameters
    ----------
    further_photos
        Photos that a long cold run has more than a short one.
    """
    found: dict[str, dict[str, float]] = {}
    for engine in engines:
        ours = f"ours, {engine}"
        packed, limit = f"ours packed, {engine}", f"engine limit, {engine}"
        for name, one, other in (
            ("vs_notebook", ours, "notebook"),
            ("of_engine_limit", ours, limit),
            ("packed_of_engine_limit", packed, limit),
        ):
            if {one, other} <= rounds.samples.keys():
                found.setdefault(name, {})[engine] = rounds.ratio((one, RATE), (other, RATE))
    for peer in PEERS:
        if {peer, "ours, cold"} <= rounds.samples.keys():
            found[f"vs_{peer}"] = {
                "steady": steady_s(rounds, peer) / steady_s(rounds, "ours, cold"),
                "cold": rounds.ratio((peer, LONG), ("ours, cold", LONG)),
            }
    limit = f"engine limit, {STEADY_ENGINE}"
    for name, contender in (("objects", "ours, cold"), ("packed", "ours packed, cold")):
        if {contender, limit} <= rounds.samples.keys() and further_photos >= MIN_STEADY_PHOTOS:
            rate = further_photos / steady_s(rounds, contender)
            found.setdefault("steady_of_engine_limit", {})[name] = rate / rounds.median(limit, RATE)
    return dict(found)


def steady_s(rounds: Rounds, contender: str) -> float:
    """Return the seconds for the photos that only the long run has, by medians: starts vary by a second or two."""
    return max(rounds.median(contender, LONG) - rounds.median(contender, SHORT), 1e-3)


if __name__ == "__main__":
    parser = command_line.parser("featurize", __doc__, images=True, photos=10_000)
    parser.add_argument("--engines", default="litert,openvino", metavar="A,B", help="default: %(default)s")
    parser.add_argument(
        "--only", default="", metavar="A,B", help="only contenders with one of these in their names, e.g. ours,limit"
    )
    sys.exit(command_line.main("featurize", parser.parse_args(), measure))
