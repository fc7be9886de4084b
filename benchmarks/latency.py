"""make bench-latency: how much of the speed is kept when each GET takes 30 ms longer."""

import argparse
import os
import sys
from functools import partial
from urllib.parse import urlsplit

from benchmarks import command_line
from benchmarks.delay_proxy import delay_proxy
from benchmarks.embedded_services import s3_only
from benchmarks.featurize_step import PhotoRow, run_step, upload_code, upload_photos
from benchmarks.results import Results
from benchmarks.rounds import Samples, alternate
from fruits_contract.features_pipeline import FeaturesRunParams

DELAYED, DIRECT = "30 ms", "0 ms"
DELAY_S = 0.030
RATE = "images/s"


def measure(arguments: argparse.Namespace) -> Results:
    """Run the step with and without delay in turns, both through a proxy."""
    with s3_only():
        port = urlsplit(os.environ["AWS_ENDPOINT_URL_S3"]).port or 80
        photos = upload_photos(arguments.images, count=arguments.photos)
        code = upload_code()
        with delay_proxy(port, delay_s=0.0) as direct, delay_proxy(port, delay_s=DELAY_S) as delayed:
            contenders = {DIRECT: partial(_run, direct, code, photos), DELAYED: partial(_run, delayed, code, photos)}
            rounds = alternate(contenders, repetitions=arguments.repetitions)
    return Results(rounds, ratios={"kept": rounds.ratio((DELAYED, RATE), (DIRECT, RATE))}, settings={"photos": arguments.photos})


def _run(endpoint: str, code: FeaturesRunParams, photos: list[PhotoRow]) -> Samples:
    conf, env = {"spark.hadoop.fs.s3a.endpoint": endpoint}, {"AWS_ENDPOINT_URL_S3": endpoint}
    done = run_step(code, photos, run="latency", conf=conf, env=env)
    return {RATE: done.images_per_s, "stage (s)": done.manifest.seconds}


if __name__ == "__main__":
    sys.exit(
        command_line.main("latency", command_line.parser("latency", __doc__, images=True, photos=4_320).parse_args(), measure)
    )
