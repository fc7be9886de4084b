"""Daft, written as its documentation and its own benchmark of this kind of job advise; runs in .venv-peers.

References
----------
https://docs.daft.ai, custom code, stateful classes: a model loaded once per process, called with batches.
https://github.com/Eventual-Inc/Daft, benchmarking/ai/image_classification/daft_main.py
"""

import os
import sys

import daft
import pyarrow as pa
from daft import DataType, Series, col
from daft.io import IOConfig, S3Config

from benchmarks.contenders.photo_features import PhotoFeatures
from fruits.engines import FEATURE_COUNT

BATCH = 64


class DaftFeatures:
    """Loads the network once per process."""

    def __init__(self, model: bytes) -> None:
        self._features = PhotoFeatures(model)

    @daft.method.batch(return_dtype=DataType.fixed_size_list(DataType.float32(), FEATURE_COUNT), batch_size=BATCH)
    def features(self, photos: Series) -> pa.Array:
        """Return one list of features per photo."""
        return pa.FixedSizeListArray.from_arrays(pa.array(self._features(photos.to_pylist()).reshape(-1)), FEATURE_COUNT)


def main(photos: str, model: str, out: str, cores: int) -> None:
    """Featurize the list of photos at `photos` with the network at `model`; all three are `bucket/key`."""
    s3 = S3Config(
        endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"],
        region_name=os.environ["AWS_REGION"],
        key_id=os.environ["AWS_ACCESS_KEY_ID"],
        access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        use_ssl=False,
    )
    daft.set_planning_config(default_io_config=IOConfig(s3=s3))
    urls = daft.from_pydict({"url": [f"s3://{model}"]})
    (network,) = urls.select(col("url").download()).to_pydict()["url"]
    extractor = daft.cls(max_concurrency=cores, use_process=True)(DaftFeatures)(network)
    frame = daft.read_parquet(f"s3://{photos}").select("path", col("url").download().alias("bytes"))
    frame.select("path", extractor.features(col("bytes")).alias("features")).write_parquet(f"s3://{out}")


if __name__ == "__main__":
    _, photos, model, out, cores = sys.argv
    main(photos, model, out, int(cores))
