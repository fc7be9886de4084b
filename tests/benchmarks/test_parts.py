import os
import sys
import time
from contextlib import ExitStack
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import numpy as np
import psutil
import pytest

from benchmarks import children, pca, rig
from benchmarks.memory import DRIVER, EXECUTORS, WORKERS, Peaks, kind_of
from benchmarks.rig import CannotMeasure

DELAY_S = 0.2


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(self.headers["Host"].encode())

    def do_PUT(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, content: bytes):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words):
        pass


def python(code: str, folder, **options):
    return children.run([sys.executable, "-c", code], env=os.environ, folder=folder, **options)


def test_a_child_is_timed_and_its_last_line_read(tmp_path):
    done = python("import time; time.sleep(0.3); print('noise'); print('{\"a\": 1}')", tmp_path)
    assert done.answer == {"a": 1}
    assert 0.3 <= done.seconds < 30


def test_a_failed_child_says_why(tmp_path):
    with pytest.raises(children.ChildFailed, match=r"left with code 3(.|\n)*no such fruit"):
        python("import sys; print('no such fruit', file=sys.stderr); sys.exit(3)", tmp_path)


def test_a_child_that_is_not_done_in_time_is_ended(tmp_path):
    with pytest.raises(children.ChildFailed, match="not done within"):
        python("import time; time.sleep(60)", tmp_path, limit_s=0.5)


def test_nothing_of_a_child_outlives_the_body(tmp_path):
    nap = "import time; time.sleep(60)"
    # one of them leaves the group, as Spark's Python daemon does
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {nap!r}], start_new_session=True).wait()"
    with children.started([sys.executable, "-c", code], env=os.environ, folder=tmp_path) as process:
        root = psutil.Process(process.pid)
        deadline = time.monotonic() + 20
        while len(root.children(recursive=True)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        family = [root, *root.children(recursive=True)]
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


def test_the_proxy_holds_gets_back_and_nothing_else(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    Thread(target=server.serve_forever, daemon=True).start()
    words = [sys.executable, "-m", "benchmarks.proxy", "--to", str(server.server_port), "--delay-ms", str(DELAY_S * 1000)]
    with ExitStack() as stack:
        stack.callback(server.shutdown)
        path = {"PYTHONPATH": os.pathsep.join(sys.path)}
        stack.enter_context(children.started(words, env=os.environ | path, folder=tmp_path))
        deadline = time.monotonic() + 20
        while not (tmp_path / "stdout").read_text().endswith("\n") and time.monotonic() < deadline:
            time.sleep(0.05)
        address = f"127.0.0.1:{(tmp_path / 'stdout').read_text().strip()}"
        client = stack.enter_context(httpx.Client(base_url=f"http://{address}", trust_env=False))
        took = {}
        for name, ask in {"first": client.get, "GET": client.get, "PUT": partial(client.put, content=b"x" * 200_000)}.items():
            began = time.monotonic()
            answer = ask("/")
            took[name] = time.monotonic() - began
            if name == "GET":
                assert answer.text == address, "the Host header was signed: it must arrive as it was sent"
            if name == "PUT":
                assert len(answer.content) == 200_000
    assert took["GET"] >= DELAY_S
    assert took["PUT"] < took["GET"]


def test_kinds_of_spark_processes():
    java = ["java", "-cp", "x"]
    assert kind_of([*java, "org.apache.spark.deploy.SparkSubmit", "s3://b/featurize.py"]) == DRIVER
    assert kind_of(["python3", "/tmp/spark-1/featurize.py", "--bucket", "b"]) == DRIVER
    assert kind_of([*java, "org.apache.spark.executor.CoarseGrainedExecutorBackend"]) == EXECUTORS
    assert kind_of(["python3", "-m", "pyspark.daemon"]) == WORKERS
    assert kind_of(["/bin/sh", "-c", "x"]) == ""


def test_peaks_are_those_of_the_process_and_its_children():
    peaks = Peaks()
    with peaks.watch(psutil.Process()):
        time.sleep(1.2)
    assert set(peaks.mb.values()) == {0.0}, "no process of a test is Spark's"


def test_drawn_features_look_like_real_ones():
    rows = np.concatenate(list(pca.blocks(3000)))
    assert rows.shape == (3000, 1280)
    assert rows.dtype == np.float32
    assert rows.min() == 0 and rows.max() <= 6
    assert 0.2 < (rows == 0).mean() < 0.5
    values = np.linalg.svd((rows - rows.mean(axis=0)).astype(np.float64), compute_uv=False) ** 2
    shares = values / values.sum()
    assert 0.1 < shares[0] < 0.25
    assert 10 < np.searchsorted(np.cumsum(shares), 0.7) + 1 < 60


def test_results_of_different_photos_are_not_compared():
    one, other = {"a": np.zeros(3)}, {"a": np.full(3, 0.25), "b": np.zeros(3)}
    with pytest.raises(CannotMeasure, match="in one result only"):
        rig.largest_difference(one, other)
    assert rig.largest_difference(one, {"a": other["a"]}) == 0.25


def test_settings_of_a_benchmark_win_over_the_steps():
    words = ["spark-submit", "--conf", "spark.driver.memory=2g", "--py-files", "z", "s"]
    found = rig.submit_words(words, conf={"spark.driver.memory": "6g"})
    assert found.index("spark.driver.memory=2g") < found.index("spark.driver.memory=6g") < found.index("--py-files")
