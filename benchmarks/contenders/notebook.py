"""The pattern of the notebook that this project replaces: binaryFile, an iterator pandas UDF, Keras's `predict`, Parquet.

As its authors wrote it, except that it runs one task per core, so that the network is built once per core: anything else would
only be slower here. Run by spark-submit.
"""

import io
import json
import sys
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.functions import element_at, pandas_udf, split  # type: ignore[attr-defined]


def main(photos: str, network: str, out: str) -> dict[str, float]:
    """Featurize the photos below `photos` with the weights of `network`, a .keras file.

    Returns
    -------
    dict
        Images per second from the first photo to the last, with the network built and called before; and of the whole write.
    """
    from keras.models import load_model

    spark = SparkSession.builder.appName("notebook").getOrCreate()
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "1024")
    context = spark.sparkContext
    broadcast = context.broadcast(load_model(network, compile=False).get_weights())

    def model_fn():  # type: ignore[no-untyped-def]
        from keras.applications import MobileNetV2

        model = MobileNetV2(input_shape=(224, 224, 3), include_top=False, pooling="avg", weights=None)
        model.set_weights(broadcast.value)
        model.predict(np.zeros((32, 224, 224, 3), np.float32), verbose=0)  # the first call is slow
        return model

    def preprocess(content: bytes) -> np.ndarray:
        from keras.applications.mobilenet_v2 import preprocess_input
        from keras.utils import img_to_array
        from PIL import Image

        image = Image.open(io.BytesIO(content)).resize((224, 224))
        prepared: np.ndarray = preprocess_input(img_to_array(image))
        return prepared

    @pandas_udf("features array<float>, started_at double, finished_at double")  # type: ignore[call-overload]
    def featurize_udf(batches: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        model = model_fn()
        for contents in batches:
            started = time.time()
            images = np.stack(contents.map(preprocess))
            features = [vector.flatten() for vector in model.predict(images, verbose=0)]
            yield pd.DataFrame({"features": features, "started_at": started, "finished_at": time.time()})

    began = time.monotonic()
    images = spark.read.format("binaryFile").option("pathGlobFilter", "*.jpg").option("recursiveFileLookup", "true").load(photos)
    images = images.withColumn("label", element_at(split("path", "/"), -2))
    features = images.repartition(context.defaultParallelism).select("path", "label", featurize_udf("content").alias("made"))
    features.select("path", "label", "made.*").write.mode("overwrite").parquet(out)
    seconds = time.monotonic() - began
    ((first, last, count),) = spark.read.parquet(out).agg(F.min("started_at"), F.max("finished_at"), F.count("*")).collect()
    return {"images_per_s": count / (last - first), "whole_images_per_s": count / seconds}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
