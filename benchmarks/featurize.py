"""make bench-featurize: photos in S3 to features in Parquet, by the notebook's pattern, by us, by Ray Data, by Daft.

Beside them the limit: the same decoding and engine with the photos in memory.
"""

import argparse
import re
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from benchmarks import children, rig
from benchmarks.measuring import Figures, Outcome, Samples, add_counts, add_images, alternate, main, parser, ratio, versions
from benchmarks.rig import BUCKET, CORES, DROP, PEERS_PYTHON, CannotMeasure, Code, Photo, Rig
from fruits.engines import open_engine
from fruits.errors import EngineUnusable
from fruits_contract import layout
from local import REPO
from local.client.upload import find_photos
from local.console import say
from release import extractor

ENGINES = "litert,openvino,openvino-bfloat16"
DEFAULT_ENGINE = "litert"
MOST_DIFFERENT = 1e-3
MIN_STEADY_PHOTOS = 1000  # the difference of two runs with fewer photos between them is noise
NOTEBOOK_DROP = "notebook"
PEERS = {"ray": "ray_data", "daft": "daft_frame"}
SMALL, LARGE = "whole process, few photos", "whole process, cold"
UNITS = {
    "images/s": "1/s",
    "images/s, network alone": "1/s",
    "images/s, whole": "1/s",
    "Spark's start": "s",
    SMALL: "s",
    LARGE: "s",
}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# Neither reports home, and Ray stays on the loopback interface, where by itself it would listen on all.
PEERS_ENV = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "DO_NOT_TRACK": "1"}


@dataclass
class Contest:
    """The contenders, on one server with one set of photos; each run returns one round's samples."""

    rig: Rig
    code: Code
    images: Path
    photos: Sequence[Photo]
    counts: argparse.Namespace
    differences: dict[str, float] = field(default_factory=dict)
    rounds: int = 0
    expected: dict[str, np.ndarray] = field(default_factory=dict)

    def notebook(self) -> Samples:
        """Run the notebook's pattern on its own small drop."""
        out = self._out("notebook")
        script = REPO / "benchmarks" / "contenders" / "notebook.py"
        photos = layout.uri(BUCKET, layout.raw_prefix(NOTEBOOK_DROP))
        words = [str(script), photos, str(self._weights), layout.uri(BUCKET, out)]
        # The JVM as Spark comes, not as the embedded default is tuned for short jobs.
        submit = rig.submit_words(["spark-submit", *words], conf={"spark.driver.extraJavaOptions": ""})
        done = children.run(submit, env=self.rig.env | {"TF_CPP_MIN_LOG_LEVEL": "3"}, folder=self.rig.scratch("notebook"))
        self._check("notebook", out, drop=NOTEBOOK_DROP)
        return {"images/s": done.answer["images_per_s"], "images/s, whole": done.answer["whole_images_per_s"]}

    def ours(self, engine: str) -> Samples:
        """Run the stage on all photos."""
        self.rounds += 1
        done = rig.featurize(self.rig, self.code, self.photos, run=f"{engine}-{self.rounds}", engine=engine)
        self.expected = self.expected or rig.read_features(self.rig, done.folder)
        self._check(f"ours, {engine}", done.folder)
        return {"images/s": done.images_per_s, "Spark's start": done.whole_s - done.manifest.seconds}

    def limit(self, engine: str) -> Samples:
        """Run decoding and network alone."""
        files, _ = find_photos(self.images, drop=DROP)
        listed = self.rig.folder / "photos.txt"
        listed.write_text("\n".join(map(str, files.values())))
        counts = map(str, (CORES, self.counts.limit_photos, self.counts.network_photos))
        words = [sys.executable, "-m", "benchmarks.contenders.engine_limit", engine, str(self._model), str(listed), *counts]
        answer = children.run(words, env=self.rig.env | ONE_THREAD, folder=self.rig.scratch("limit")).answer
        return {"images/s": answer["images_per_s"], "images/s, network alone": answer["network_images_per_s"]}

    def cold(self, run: Callable[[int], float]) -> Samples:
        """Run a contender on a small part of the photos and on a larger one, each in a process of its own.

        What both have in common, the start, is not in the difference of their times (`steady`), by the same rule for all.
        """
        small, large = self.counts.small_photos, self.counts.peer_photos
        return {SMALL: run(small), LARGE: run(large)}

    def ours_cold(self, count: int) -> float:
        """Return the seconds of the whole `spark-submit`."""
        self.rounds += 1
        return rig.featurize(self.rig, self.code, self.photos[:count], run=f"cold-{self.rounds}").whole_s

    def peer_cold(self, name: str, count: int) -> float:
        """Return the seconds of a peer's whole process."""
        out = self._out(name)
        photos = rig.write_list(self.rig, self.photos[:count], run=f"{name}-{self.rounds}")
        model = layout.extractor(self.code.extractor)
        words = [str(PEERS_PYTHON), "-m", f"benchmarks.contenders.{PEERS[name]}"]
        words += [f"{BUCKET}/{key}" for key in (photos, model, out)]
        done = children.run([*words, str(CORES)], env=self.rig.env | PEERS_ENV, folder=self.rig.scratch(name))
        self._check(name, out, count=count)
        return done.seconds

    @cached_property
    def _weights(self) -> Path:
        """Keras's weights; loaded from where Keras or the package index has them."""
        file = self.rig.folder / "weights.npz"
        words: list[str | Path] = [sys.executable, "-m", "benchmarks.contenders.weights", file]
        children.run(words, env=self.rig.env, folder=self.rig.scratch("weights"))
        return file

    @property
    def _model(self) -> Path:
        return extractor.Extractor(self.code.extractor, "", "", "", 0).path()

    def _out(self, name: str) -> str:
        self.rounds += 1
        return f"peers/{name}-{self.rounds}/"

    def _check(self, name: str, out: str, *, drop: str = DROP, count: int = 0) -> None:
        """Hold what a contender wrote against our own features, and delete it."""
        found = rig.read_features(self.rig, out)
        rig.delete(self.rig, out)
        wanted = len(self.expected) if drop == DROP and not count else count or self.counts.notebook_photos
        found = {key.replace(f"raw/{drop}/", f"raw/{DROP}/", 1): vector for key, vector in found.items()}
        if len(found) != wanted:
            raise CannotMeasure(f"{name} wrote {len(found)} of {wanted} features: a peer that leaves some out is no peer")
        difference = rig.largest_difference(found, {key: self.expected[key] for key in found})
        self.differences[name] = max(difference, self.differences.get(name, 0.0))
        if difference > MOST_DIFFERENT:
            raise CannotMeasure(f"{name}'s features differ by {difference} from ours, more than {MOST_DIFFERENT}")


def measure(arguments: argparse.Namespace) -> Outcome:
    """Upload once, then let all contenders take turns."""
    engines, not_offered = _offered(arguments.engines.split(","))
    asked = arguments.contenders.split(",")
    if {"ray", "daft"} & set(asked) and not PEERS_PYTHON.exists():
        raise CannotMeasure(
            f"{PEERS_PYTHON} is not there; `make .venv-peers` makes it, or leave out ray and daft: CONTENDERS=..."
        )
    with rig.open_rig() as opened:
        photos = rig.upload(opened, arguments.images, count=max(arguments.photos, arguments.peer_photos))
        rig.upload(opened, arguments.images, count=arguments.notebook_photos, drop=NOTEBOOK_DROP)
        contest = Contest(opened, rig.publish(opened), arguments.images, photos, arguments)
        contenders: dict[str, Callable[[], Samples]] = {}
        for engine in engines:
            contenders[f"ours, {engine}"] = partial(contest.ours, engine)
            contenders[f"engine limit, {engine}"] = partial(contest.limit, engine)
        contenders |= {
            "notebook": contest.notebook,
            "ours, cold": partial(contest.cold, contest.ours_cold),
            "ray": partial(contest.cold, partial(contest.peer_cold, "ray")),
            "daft": partial(contest.cold, partial(contest.peer_cold, "daft")),
        }
        contenders = {name: run for name, run in contenders.items() if name.split(",")[0].split()[-1] in asked}
        figures = alternate(contenders, repetitions=arguments.repetitions)
    return Outcome(
        figures=figures,
        ratios=ratios(figures, engines),
        units=UNITS,
        settings={name: value for name, value in vars(arguments).items() if name not in ("images", "keep", "repetitions")},
        checks={
            "steady images/s": {
                name: (arguments.peer_photos - arguments.small_photos) / steady_s(figures, name)
                for name, measured in figures.samples.items()
                if LARGE in measured and arguments.peer_photos - arguments.small_photos >= MIN_STEADY_PHOTOS
            },
            "largest difference from ours": contest.differences,
            "not offered here": not_offered,
        },
        versions=_versions(),
    )


def ratios(figures: Figures, engines: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the ratios of those contenders that took part, each larger where we are faster."""
    found: dict[str, dict[str, float]] = {}
    there = figures.samples

    def compare(name: str, to: str, one: str, other: str) -> None:
        if {one, other} <= there.keys():
            found.setdefault(name, {})[to] = ratio(figures.of(one, "images/s"), figures.of(other, "images/s"))

    for engine in engines:
        compare("vs_notebook", engine, f"ours, {engine}", "notebook")
        compare("of_engine_limit", engine, f"ours, {engine}", f"engine limit, {engine}")
    for peer in PEERS:
        if {peer, "ours, cold"} <= there.keys():
            found[f"vs_{peer}"] = {
                "steady": steady_s(figures, peer) / steady_s(figures, "ours, cold"),
                "cold": ratio(figures.of(peer, LARGE), figures.of("ours, cold", LARGE)),
            }
    return found


def steady_s(figures: Figures, contender: str) -> float:
    """Return the seconds that the further photos of the larger run take: medians, since starts vary by a second or two."""
    return max(statistics.median(figures.of(contender, LARGE)) - statistics.median(figures.of(contender, SMALL)), 1e-3)


def _offered(engines: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the engines that this machine can run, and why not the others."""
    model = extractor.ensure().path().read_bytes()
    reasons: dict[str, str] = {}
    for engine in engines:
        try:
            open_engine(engine, model)
        except EngineUnusable as error:
            reasons[engine] = str(error)
            say(f"{engine} is not offered here: {error}")
        except ValueError as error:
            raise CannotMeasure(str(error)) from error
    return [engine for engine in engines if engine not in reasons], reasons


def _versions() -> dict[str, str]:
    peers = dict(re.findall(r"^(ray|daft)==(\S+)", (REPO / "benchmarks" / "requirements-peers.txt").read_text(), re.MULTILINE))
    return {**versions("openvino", "tensorflow-cpu", "keras"), **peers}


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this benchmark."""
    made = parser("featurize", __doc__)
    add_images(made)
    add_counts(
        made,
        photos=(10_000, "photos of our runs; copies where the folder holds fewer"),
        limit_photos=(5_000, "photos of the engine limit"),
        network_photos=(2_000, "images of the network alone"),
        notebook_photos=(768, "photos of the notebook's pattern, which is slow"),
        peer_photos=(4_320, "photos of a run with cold start"),
        small_photos=(432, "photos of the small run that is taken off for the steady state"),
    )
    made.add_argument("--engines", default=ENGINES, metavar="A,B", help="default: %(default)s")
    made.add_argument("--contenders", default="ours,limit,notebook,ray,daft", metavar="A,B", help="default: %(default)s")
    return made


if __name__ == "__main__":
    sys.exit(main("featurize", arguments().parse_args(), measure))
