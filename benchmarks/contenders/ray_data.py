"""Ray Data, written as its documentation and its own benchmark of this kind of job advise; runs in .venv-peers.

References
----------
https://docs.ray.io/en/latest/data/working-with-images.html: images from a dataset of URIs, inference by a pool of actors.
https://github.com/ray-project/ray, release/nightly_tests/multimodal_inference_benchmarks/image_classification/ray_data_main.py
"""

import os
import sys
from typing import Any

import numpy as np
import pyarrow.fs
import ray
from ray.data.expressions import download

from fruits.engines import FEATURE_COUNT, open_engine
from fruits.vision import SIZE_PX, decode

BATCH = 32


class Extractor:
    """The actor: loads the network once; decodes as the stages do, since Ray's own resizing is not bicubic."""

    def __init__(self, model: bytes) -> None:
        self.engine = open_engine("litert", model)
        self.image = np.empty((self.engine.batch_images, SIZE_PX, SIZE_PX, 3), np.float32)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Decode in the actor too: decoded images of 600 kB would go through the object store, which is slower."""
        contents = batch["bytes"]
        features = np.empty((len(contents), FEATURE_COUNT), np.float32)
        for start in range(0, len(contents), len(self.image)):
            part = contents[start : start + len(self.image)]
            for row, content in enumerate(part):
                decode(content, out=self.image[row])
            features[start : start + len(part)] = self.engine.features(self.image[: len(part)])
        return {"path": batch["path"], "features": features}


def main(photos: str, model: str, out: str, cores: int) -> None:
    """Featurize the list of photos at `photos` with the network at `model`; all three are keys with their bucket."""
    files = pyarrow.fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL_S3"], scheme="http")
    # Ray's CPUs are a bookkeeping. Reading, planning and downloading need some beside those of the actors: with as many as there
    # are cores it stands still on two of them.
    ray.init(num_cpus=2 * cores + 1, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    with files.open_input_stream(model) as source:
        network = source.read()
    (
        ray.data.read_parquet(photos, filesystem=files)
        .select_columns(["path", "url"])
        .with_column("bytes", download("url", filesystem=files))
        .map_batches(
            Extractor,
            fn_constructor_args=[network],
            batch_size=BATCH,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=cores),
        )
        .write_parquet(out, filesystem=files)
    )


if __name__ == "__main__":
    _, photos, model, out, cores = sys.argv
    main(photos, model, out, int(cores))
