import argparse
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import numpy as np
import pytest

from benchmarks import dag, featurize, pca, scale
from benchmarks.commands import CannotMeasure
from benchmarks.delay_proxy import delay_proxy
from benchmarks.memory import DRIVER, EXECUTORS, TOTAL, WORKERS, kind_of, sampled_peaks
from benchmarks.rounds import Rounds
from fruits_contract.pipelines import STAGES

DELAY_S = 0.2


def test_ratios_of_featurize():
    rounds = Rounds(
        {
            "ours, litert": {"images/s": [160.0]},
            "ours packed, litert": {"images/s": [180.0]},
            "engine limit, litert": {"images/s": [200.0]},
            "notebook": {"images/s": [20.0]},
            "ours, cold": {featurize.SHORT: [10.0], featurize.LONG: [30.0]},
            "ours packed, cold": {featurize.SHORT: [10.0], featurize.LONG: [29.0]},
            "ray": {featurize.SHORT: [15.0], featurize.LONG: [45.0]},
        }
    )
    assert featurize.ratios(rounds, ["litert", "openvino"], further_photos=3800) == {
        "vs_notebook": {"litert": 8},
        "of_engine_limit": {"litert": 0.8},
        "packed_of_engine_limit": {"litert": 0.9},
        "steady_of_engine_limit": {"objects": 0.95, "packed": 1.0},
        "vs_ray": {"steady": 1.5, "cold": 1.5},
    }


def test_an_unknown_engine_is_refused_before_anything_starts():
    with pytest.raises(CannotMeasure, match=r"engine pear is not known; expected some of .*litert"):
        featurize.measure(argparse.Namespace(engines="litert,pear"))


def test_features_of_other_photos_are_not_compared():
    expected = {"a": np.zeros(3), "b": np.zeros(3)}
    assert featurize.largest_difference({"a": np.full(3, 0.25)}, expected) == 0.25
    with pytest.raises(CannotMeasure, match="1 photos have no features of ours"):
        featurize.largest_difference({"c": np.zeros(3)}, expected)


def test_ratios_of_pca():
    rounds = Rounds({"ours, 100 rows": {pca.WHOLE: [2.0]}, "mllib, 100 rows": {pca.WHOLE: [30.0], pca.FIT: [20.0]}})
    assert pca.ratios(rounds, [100]) == {"vs_mllib": {"100": 15}, "vs_mllib_cached": {"100": 10}}


def test_synthetic_features_have_the_spectrum_of_real_ones():
    rows = np.concatenate(list(pca.synthetic_features(3000)))
    assert rows.shape == (3000, 1280)
    assert rows.dtype == np.float32
    assert rows.min() == 0 and rows.max() <= 6
    assert 0.2 < (rows == 0).mean() < 0.5
    values = np.linalg.svd((rows - rows.mean(axis=0)).astype(np.float64), compute_uv=False) ** 2
    shares = values / values.sum()
    assert 0.1 < shares[0] < 0.25
    assert 10 < np.searchsorted(np.cumsum(shares), 0.7) + 1 < 60


def test_the_duration_of_a_dag_run_is_split():
    start = datetime(2026, 11, 24, tzinfo=UTC)
    at = [start + timedelta(seconds=seconds) for seconds in (0, 2, 12, 20)]
    cluster = {"CreationDateTime": at[0], "ReadyDateTime": at[1]}
    steps = [{"StartDateTime": at[1], "EndDateTime": at[2]}, {"StartDateTime": at[2], "EndDateTime": at[3]}]
    assert list(dag.split(30, cluster, steps).values()) == [30, 18, 2, 10]


def test_growth_needs_two_sizes():
    with pytest.raises(CannotMeasure, match="two sizes"):
        scale.measure(argparse.Namespace(sizes=[1000]))


def test_kinds_of_spark_processes():
    java = ["java", "-cp", "x"]
    assert kind_of([*java, "org.apache.spark.deploy.SparkSubmit", "s3://b/featurize.py"]) == DRIVER
    for stage in STAGES:
        assert kind_of(["python3", f"/tmp/spark-1/{stage.name}.py", "--bucket", "b"]) == DRIVER
    assert kind_of([*java, "org.apache.spark.executor.CoarseGrainedExecutorBackend"]) == EXECUTORS
    assert kind_of(["python3", "-m", "pyspark.daemon"]) == WORKERS
    assert kind_of(["/bin/sh", "-c", "x"]) == ""


def test_peaks_are_those_of_spark_processes_below_this_one():
    code = "import time; content = b'x' * (50 * 2**20); time.sleep(60)"
    with sampled_peaks() as peaks, subprocess.Popen([sys.executable, "-c", code, "pyspark.daemon"]) as process:
        deadline = time.monotonic() + 20
        while peaks[WORKERS] < 50 and time.monotonic() < deadline:
            time.sleep(0.1)
        process.kill()
    assert peaks[WORKERS] >= 50
    assert peaks[TOTAL] == peaks[WORKERS]
    assert peaks[DRIVER] == peaks[EXECUTORS] == 0, "no other process of a test is Spark's"


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.respond(self.headers["Host"].encode())

    def do_PUT(self):
        self.respond(self.rfile.read(int(self.headers["Content-Length"])))

    def respond(self, content: bytes):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def echo_server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_the_proxy_delays_gets_only_and_keeps_the_host_header(echo_server):
    seconds, content = {}, {}
    with delay_proxy(echo_server.server_port, delay_s=DELAY_S) as url, httpx.Client(base_url=url, trust_env=False) as client:
        put = partial(client.put, content=b"x" * 200_000)
        for name, request in {"first": client.get, "GET": client.get, "PUT": put}.items():
            began = time.monotonic()
            content[name] = request("/").content
            seconds[name] = time.monotonic() - began
    assert content["GET"].decode() == url.removeprefix("http://")
    assert len(content["PUT"]) == 200_000
    assert seconds["GET"] >= DELAY_S
    assert seconds["PUT"] < seconds["GET"]
