"""The limit of an engine: one process per core, photos in memory, decoding and the network and nothing else."""

import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np

from fruits.engines import open_engine
from fruits.vision import SIZE_PX, decode


def images_per_s(engine_name: str, model: Path, photos: list[Path], count: int) -> tuple[float, float]:
    """Return the rates of one process: decoding with the network, on `count` photos, and the network alone."""
    engine = open_engine(engine_name, model.read_bytes())
    contents = cycle([path.read_bytes() for path in photos])
    images = np.empty((engine.batch_images, SIZE_PX, SIZE_PX, 3), np.float32)

    def decode_and_infer() -> None:
        for image in images:
            decode(next(contents), out=image)
        engine.features(images)

    def rate(run_batch: Callable[[], object], batches: int) -> float:
        run_batch()  # the first calls are slow
        run_batch()
        began = time.monotonic()
        for _ in range(batches):
            run_batch()
        return batches * len(images) / (time.monotonic() - began)

    batches = max(count // len(images), 1)
    return rate(decode_and_infer, batches), rate(partial(engine.features, images), batches)


def main(engine: str, model: Path, photo_files: Path, *, cores: int, count: int) -> dict[str, float]:
    """Return the rates of all cores together; `photo_files` has the path of one photo per line."""
    photos = [Path(line) for line in photo_files.read_text().splitlines()]
    task = partial(images_per_s, engine, model, photos)
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        rates = list(pool.map(task, [count // cores] * cores))
    return {
        "images_per_s": sum(both for both, _ in rates),
        "network_images_per_s": sum(network for _, network in rates),
    }


if __name__ == "__main__":
    _, engine, model, photo_files, cores, count = sys.argv
    print(json.dumps(main(engine, Path(model), Path(photo_files), cores=int(cores), count=int(count))))
