"""Daft, written as its documentation and its own benchmark of this kind of job advise; runs in .venv-peers.

References
----------
https://docs.daft.ai, custom code, stateful classes: a model loaded once per process, called with batches.
https://github.com/Eventual-Inc/Daft, benchmarking/ai/image_classification/daft_main.py
"""

import os
import sys

import daft
import numpy as np
import pyarrow as pa
from daft import DataType, Series, col
from daft.io import IOConfig, S3Config

from fruits.engines import FEATURE_COUNT, open_engine
from fruits.vision import SIZE_PX, decode

BATCH = 64


class Extractor:
    """Loads the network once per process; decodes as the stages do, since Daft's own resizing is not bicubic."""

    def __init__(self, model: bytes) -> None:
        self.engine = open_engine("litert", model)
        self.image = np.empty((self.engine.batch_images, SIZE_PX, SIZE_PX, 3), np.float32)

    @daft.method.batch(return_dtype=DataType.fixed_size_list(DataType.float32(), FEATURE_COUNT), batch_size=BATCH)
    def features(self, contents: Series) -> pa.Array:
        """Return one list of features per photo."""
        photos = contents.to_pylist()
        features = np.empty((len(photos), FEATURE_COUNT), np.float32)
        for start in range(0, len(photos), len(self.image)):
            part = photos[start : start + len(self.image)]
            for row, content in enumerate(part):
                decode(content, out=self.image[row])
            features[start : start + len(part)] = self.engine.features(self.image[: len(part)])
        return pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), FEATURE_COUNT)


def main(photos: str, model: str, out: str, cores: int) -> None:
    """Featurize the list of photos at `photos` with the network at `model`; all three are keys with their bucket."""
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
    extractor = daft.cls(max_concurrency=cores, use_process=True)(Extractor)(network)
    frame = daft.read_parquet(f"s3://{photos}").select("path", col("url").download().alias("bytes"))
    frame.select("path", extractor.features(col("bytes")).alias("features")).write_parquet(f"s3://{out}")


if __name__ == "__main__":
    _, photos, model, out, cores = sys.argv
    main(photos, model, out, int(cores))
