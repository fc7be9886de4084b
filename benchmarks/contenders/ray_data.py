"""Ray Data, written as its documentation and its own benchmark of this kind of job advise; runs in .venv-peers.

References
----------
https://docs.ray.io/en/latest/data/working-with-images.html: images from a dataset of URIs, inference by a pool of actors.
https://github.com/ray-project/ray, release/nightly_tests/multimodal_inference_benchmarks/image_classification/ray_data_main.py
"""

import os
import sys
from typing import Any

import pyarrow.fs
import ray
from ray.data.expressions import download

from benchmarks.contenders.photo_features import PhotoFeatures

BATCH = 32


class FeaturesActor:
    """Loads the network once; decodes as well, because decoded images of 600 kB are slow to pass through the object store."""

    def __init__(self, model: bytes) -> None:
        self._features = PhotoFeatures(model)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return path and features of a batch."""
        return {"path": batch["path"], "features": self._features(batch["bytes"])}


def main(photos: str, model: str, out: str, cores: int) -> None:
    """Featurize the list of photos at `photos` with the network at `model`; all three are `bucket/key`."""
    files = pyarrow.fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL_S3"], scheme="http")
    # Ray's CPUs are logical. Reading, planning and downloading need some beside those of the actors: with as many as there are
    # cores, Ray stalls on two of them.
    ray.init(num_cpus=2 * cores + 1, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    with files.open_input_stream(model) as source:
        network = source.read()
    (
        ray.data.read_parquet(photos, filesystem=files)
        .select_columns(["path", "url"])
        .with_column("bytes", download("url", filesystem=files))
        .map_batches(
            FeaturesActor,
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
