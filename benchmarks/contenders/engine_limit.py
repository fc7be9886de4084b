"""What the engine alone can do: one process per core, photos in memory, decoding and the network and nothing else.

Runs in the project's own environment; the stage can come near it, not beyond it.
"""

import json
import multiprocessing
import sys
import time
from multiprocessing.queues import Queue
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np

from fruits.engines import open_engine
from fruits.vision import SIZE_PX, decode

CHUNK = 32  # photos that a process takes at a time: whichever is free takes the next, so that all end together
DECODED = 128  # different images that the network alone is run on


def work(
    engine_name: str,
    model: bytes,
    contents: list[bytes],
    counts: tuple[int, int],
    taken: "Synchronized[int]",
    together: Barrier,
    out: "Queue[tuple[float, float, float, float]]",
) -> None:
    """Be one of the processes: decode and run `counts[0]` photos with the others, then the network alone on `counts[1]`."""
    engine = open_engine(engine_name, model)
    size = engine.batch_images
    image = np.empty((size, SIZE_PX, SIZE_PX, 3), np.float32)
    images = np.stack([decode(content)[0] for content in contents[: max(DECODED, size)]])

    def decode_and_run(start: int, stop: int) -> None:
        for first in range(start, stop, size):
            last = min(first + size, stop)
            for row, number in enumerate(range(first, last)):
                decode(contents[number % len(contents)], out=image[row])
            engine.features(image[: last - first])

    def run_alone(start: int, stop: int) -> None:
        for number in range(start, stop, size):
            first = number % (len(images) - size + 1)
            engine.features(images[first : first + size])

    times: list[float] = []
    for do, count in ((decode_and_run, counts[0]), (run_alone, counts[1])):
        do(0, 2 * size)  # the first calls set the engine up
        if together.wait() == 0:
            taken.value = 0
        together.wait()
        times.append(time.monotonic())
        while True:
            with taken.get_lock():
                start = taken.value
                taken.value = start + CHUNK
            if start >= count:
                break
            do(start, min(start + CHUNK, count))
        times.append(time.monotonic())
    out.put((times[0], times[1], times[2], times[3]))


def main(engine: str, model: Path, photos: Path, cores: int, counts: tuple[int, int]) -> dict[str, float]:
    """Return images per second of decoding and network, and of the network alone; `photos` lists their files, one a line."""
    contents = [Path(name).read_bytes() for name in photos.read_text().splitlines()]
    open_engine(engine, model.read_bytes())  # fails here rather than in processes that wait for each other
    context = multiprocessing.get_context("spawn")
    taken, together, out = context.Value("l", 0), context.Barrier(cores), context.Queue()
    words = (engine, model.read_bytes(), contents, counts, taken, together, out)
    processes = [context.Process(target=work, args=words, daemon=True) for _ in range(cores)]
    for process in processes:
        process.start()
    times = [out.get() for _ in processes]
    for process in processes:
        process.join()
    both = max(item[1] for item in times) - min(item[0] for item in times)
    alone = max(item[3] for item in times) - min(item[2] for item in times)
    return {"images_per_s": counts[0] / both, "network_images_per_s": counts[1] / alone}


if __name__ == "__main__":
    _, engine, model, photos, cores, *counts = sys.argv
    print(json.dumps(main(engine, Path(model), Path(photos), int(cores), (int(counts[0]), int(counts[1])))))
