"""A real YARN, really started: steps of the EMR service run in its containers, and nothing of it is left afterwards."""

import contextlib
import io
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import boto3
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bootstrap import contents
from bootstrap.extractor import Extractor
from bootstrap.release import ReleaseCard
from fruits_contract import layout
from fruits_contract.params import RunParams
from fruits_contract.stages import FEATURIZE, FIT_PCA
from local import environment, images, ports, programs, readiness, services, spark, supervision, yarn
from local.state import REPO, Places, Record, Secrets
from local.upload import upload_drop

REAL_PHOTOS = REPO.parent / "shared" / "fruits-360"
VARIETIES, PER_VARIETY = 4, 12
STEP_LIMIT_S = 600
EXECUTOR = "CoarseGrainedExecutorBackend"

# Both run in executors and import the package there: in a container it can only come from the zip.
FAILS = """
from pyspark.sql import SparkSession

def work(_):
    import fruits
    raise ValueError(f"no photo, says {fruits.__file__}")

SparkSession.builder.getOrCreate().sparkContext.parallelize([1], 1).foreach(work)
"""
NEVER_ENDS = FAILS.replace("raise ValueError", "__import__('time').sleep(3600)  #")


def make_places(folder: Path) -> Places:
    places = Places(Places.default().cache, folder)
    places.make()
    return places


def make_record(master: str) -> Record:
    return Record(programs.choose_ports(master), Secrets.generate(), master)


def write_configs(places: Places, record: Record) -> None:
    spark.write_config(places, s3_endpoint=environment.url(record.ports["s3"]))
    if record.spark == "yarn":
        yarn.prepare(places, record)


# ---- what is started, and with which settings


def test_the_node_manager_stops_before_the_resource_manager(tmp_path: Path) -> None:
    places = make_places(tmp_path / "s")
    groups = list(dict.fromkeys(program.group for program in programs.table(places, make_record("yarn"))))
    assert groups == ["s3", "resource-manager", "node-manager", "emr", "airflow"]


def test_there_is_no_yarn_unless_asked_for(tmp_path: Path) -> None:
    places, record = make_places(tmp_path / "s"), make_record("local")
    assert not {program.name for program in programs.table(places, record)} & set(yarn.CLASSES)
    assert not set(record.ports) & set(yarn.PREFERRED_PORTS)


def test_the_configuration_names_loopback_and_no_key(tmp_path: Path) -> None:
    places, record = make_places(tmp_path / "s"), make_record("yarn")
    write_configs(places, record)
    written = {path.name: path.read_text() for path in places.spark_conf.iterdir()}
    properties = {
        each.findtext("name", ""): each.findtext("value", "")
        for each in ElementTree.fromstring(written["yarn-site.xml"]).iter("property")
    }
    addresses = {value for name, value in properties.items() if name.endswith((".address", "host", "hostname"))}
    assert addresses == {"127.0.0.1"} | {f"127.0.0.1:{record.ports[name]}" for name in yarn.PREFERRED_PORTS}
    inherited = properties["yarn.nodemanager.env-whitelist"].split(",")
    assert {"AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3", "JAVA_HOME", environment.MARK} <= set(inherited)
    assert "PYTHONPATH" not in inherited
    assert not any("@" in text or record.secrets.s3_secret_key in text for text in written.values())


def test_the_configuration_of_yarn_goes_with_it(tmp_path: Path) -> None:
    places = make_places(tmp_path / "s")
    write_configs(places, make_record("yarn"))
    assert spark_defaults(places)["spark.master"] == "yarn"
    write_configs(places, make_record("local"))
    assert "spark.master" not in spark_defaults(places)
    assert {path.name for path in places.spark_conf.iterdir()} == set(spark.CONFIG_FILES)


def spark_defaults(places: Places) -> dict[str, str]:
    lines = (places.spark_conf / "spark-defaults.conf").read_text().splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


def test_a_path_that_yarn_cannot_quote_is_refused_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUITS_SPARK", "yarn")
    places = Places(Places.default().cache, tmp_path / "state with blank")
    with pytest.raises(ValueError, match=r"state with blank cannot be used with SPARK=yarn.*\$FRUITS_STATE"):
        services.up(places)
    assert supervision.marked(places) == []


@pytest.mark.parametrize(("word", "master"), [("", None), ("local", "local"), ("yarn", "yarn")])
def test_the_setting(word: str, master: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUITS_SPARK", word)
    assert spark.asked_master() == master


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FRUITS_SPARK", "Yarn")
    with pytest.raises(ValueError, match="SPARK is 'Yarn'; expected local or yarn"):
        services.up(Places(tmp_path / "c", tmp_path / "s"))


@pytest.mark.parametrize(
    ("up", "asked", "is_fine"), [("local", "", 1), ("yarn", "", 1), ("yarn", "yarn", 1), ("local", "yarn", 0)]
)
def test_services_that_are_up_are_not_silently_of_another_kind(
    up: str, asked: str, is_fine: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = make_places(tmp_path / "s")
    record = make_record(up)
    record.write(places)
    monkeypatch.setattr(supervision, "is_whole", lambda places: True)
    monkeypatch.setattr(readiness, "wait", lambda places, record: None)
    monkeypatch.setenv("FRUITS_SPARK", asked)
    if is_fine:
        assert services.up(places).record == record
    else:
        with pytest.raises(services.OtherMaster, match="up with SPARK=local, asked for is SPARK=yarn: `make down` first"):
            services.up(places)


# ---- real runs


@dataclass
class Stack:
    """S3, YARN and EMR, without Airflow, and what was seen of their processes while steps ran."""

    places: Places
    record: Record
    settings: Any
    s3: Any
    emr: Any
    listening: set[tuple[str, str]] = field(default_factory=set)
    command_lines: set[str] = field(default_factory=set)

    def plan(self, run: str) -> tuple[RunParams, dict[str, Any]]:
        """Plan a run as the DAG does; returns its parameters and its cluster, without bootstrap actions."""
        from fruits_airflow.planning import plan_run

        planned = plan_run(self.s3, self.settings, dag_run_id=run, drop="photos", asked={"mode": "fit"})
        return RunParams(**planned["params"]), planned["job_flow"] | {"BootstrapActions": []}

    def start(self, cluster: dict[str, Any], *steps: dict[str, Any], **spark_defaults: str) -> str:
        more = {
            "Classification": "spark-defaults",
            "Properties": {key.replace("_", "."): spark_defaults[key] for key in spark_defaults},
        }
        request = cluster | {"Steps": list(steps), "Configurations": [*cluster["Configurations"], more]}
        return str(self.emr.run_job_flow(**request)["JobFlowId"])

    def wait(self, cluster: str, until: Callable[[list[str]], bool]) -> None:
        """Wait until the states of the cluster's steps are what is expected, and look at all processes meanwhile."""
        deadline = time.monotonic() + STEP_LIMIT_S
        while not until(states := [step["Status"]["State"] for step in self.emr.list_steps(ClusterId=cluster)["Steps"]]):
            assert time.monotonic() < deadline, f"{cluster}: steps are {states}"
            self.look()
            time.sleep(2)

    def look(self) -> None:
        for process in supervision.marked(self.places):
            self.command_lines.add(line := command_line(process))
            with contextlib.suppress(psutil.Error):
                found = (each.laddr.ip for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN)
                self.listening |= {(line, address.removeprefix("::ffff:")) for address in found}

    def logs(self, cluster: str) -> str:
        files = sorted((self.places.emr / cluster / "steps").rglob("std*"))
        return "\n".join(f"{file}:\n{file.read_text(errors='replace')[-3000:]}" for file in files)

    def read(self, key: str) -> io.BytesIO:
        return io.BytesIO(self.s3.get_object(Bucket=environment.BUCKET, Key=key)["Body"].read())

    def features(self, params: RunParams) -> dict[str, np.ndarray]:
        """Return each photo's features by its path."""
        prefix = layout.features_part(params.drop, params.run)
        keys = [each["Key"] for each in self.s3.list_objects_v2(Bucket=environment.BUCKET, Prefix=prefix)["Contents"]]
        table = pa.concat_tables(pq.ParquetFile(self.read(key)).read() for key in keys if key.endswith(".parquet"))
        values = table["features"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        return dict(zip(table["path"].to_pylist(), values, strict=True))

    def pca(self, params: RunParams) -> dict[str, np.ndarray]:
        with np.load(self.read(layout.pca_arrays(params.pca)), allow_pickle=False) as arrays:
            return dict(arrays)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, extractor: Extractor) -> Iterator[Stack]:
    places, record = make_places(tmp_path_factory.mktemp("yarn") / "state"), make_record("yarn")
    try:
        spark.fetch_jars(places)
        spark.fetch_jars(places, "yarn")
    except spark.JarsUnobtainable as error:
        pytest.skip(f"the jars of YARN cannot be fetched here: {error}")
    os.environ.setdefault("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))  # made by importing it
    from fruits_airflow.settings import Settings

    write_configs(places, record)
    table = [program for program in programs.table(places, record) if program.group != "airflow"]
    answering = Record({name: port for name, port in record.ports.items() if name != "airflow"}, record.secrets, "yarn")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.client(places, record).items():
            patch.setenv(name, value)
        try:
            supervision.start(places, table, environment.services(places, record))
            for program in table:
                supervision.start_group(places, program.group)
            readiness.wait(places, answering)
            session = boto3.Session()
            s3 = session.client("s3")
            release = publish(s3, extractor)
            upload_drop(few_photos(tmp_path_factory), bucket=environment.BUCKET, drop="photos")
            settings = Settings(
                bucket=environment.BUCKET, region=environment.REGION, release=release, node_python=str(Path(sys.prefix))
            )
            yield Stack(places, record, settings, s3, session.client("emr"))
        finally:
            supervision.stop(places)


def publish(s3: Any, extractor: Extractor) -> str:
    """Put a release into the bucket, without wheels: the nodes' Python is this one."""
    release = contents.collect(extractor.digest)
    card = ReleaseCard(release.release, extractor.digest, {})
    files = release.files | {
        layout.extractor(extractor.digest): extractor.path().read_bytes(),
        layout.release_card(release.release): card.to_json().encode(),
        "code/fails.py": FAILS.encode(),
        "code/never_ends.py": NEVER_ENDS.encode(),
    }
    for key, content in files.items():
        s3.put_object(Bucket=environment.BUCKET, Key=key, Body=content)
    return release.release


def few_photos(factory: pytest.TempPathFactory) -> Path:
    """Return a folder with some dozens of photos: real ones where they are, drawn ones otherwise."""
    source, folder = REAL_PHOTOS, factory.mktemp("photos")
    if not source.is_dir():
        source = factory.mktemp("drawn")
        images.draw(source, per_variety=PER_VARIETY)
    for variety in islice(sorted(path for path in source.iterdir() if path.is_dir()), VARIETIES):
        (folder / variety.name).mkdir()
        for photo in islice(sorted(variety.glob("*.jpg")), PER_VARIETY):
            shutil.copy(photo, folder / variety.name)
    return folder


def command_line(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def script_step(stack: Stack, name: str) -> dict[str, Any]:
    package = layout.uri(stack.settings.bucket, layout.package_zip(stack.settings.release))
    line = [
        "spark-submit",
        "--deploy-mode",
        "client",
        "--py-files",
        package,
        layout.uri(stack.settings.bucket, f"code/{name}.py"),
    ]
    return {"Name": name, "HadoopJarStep": {"Jar": "command-runner.jar", "Args": line}}


@dataclass(frozen=True)
class Ran:
    """A run on YARN and the same run in one process."""

    stack: Stack
    on_yarn: RunParams
    in_one: RunParams
    events: str


@pytest.fixture(scope="module")
def ran(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    from fruits_airflow.steps import step

    events = tmp_path_factory.mktemp("events")
    on_yarn, cluster = stack.plan("on-yarn")
    in_one, _ = stack.plan("in-one")
    record_events = {"spark_eventLog_enabled": "true", "spark_eventLog_dir": f"file://{events}"}
    started = [
        stack.start(cluster, step(FEATURIZE, on_yarn), step(FIT_PCA, on_yarn), **record_events),
        stack.start(cluster, step(FEATURIZE, in_one), step(FIT_PCA, in_one), spark_master="local[*]"),
    ]
    for each in started:
        stack.wait(each, lambda states: not {"PENDING", "RUNNING"} & set(states))
        states = [each["Status"]["State"] for each in stack.emr.list_steps(ClusterId=each)["Steps"]]
        assert states == ["COMPLETED", "COMPLETED"], stack.logs(each)
    stack.emr.terminate_job_flows(JobFlowIds=started)
    written = [path.read_text() for path in sorted(events.iterdir())]
    assert len(written) == 2, "one application per stage, both on YARN"
    return Ran(stack, on_yarn, in_one, written[0])


@pytest.mark.slow
def test_both_executors_took_part(ran: Ran) -> None:
    ends = [line for line in ran.events.splitlines() if '"SparkListenerTaskEnd"' in line]
    assert {executor for executor in ("1", "2", "driver") if any(f'"Executor ID":"{executor}"' in end for end in ends)} == {
        "1",
        "2",
    }


@pytest.mark.slow
def test_features_of_two_executors_are_those_of_one_process(ran: Ran) -> None:
    ours, theirs = ran.stack.features(ran.on_yarn), ran.stack.features(ran.in_one)
    assert len(ours) == VARIETIES * PER_VARIETY
    assert ours.keys() == theirs.keys()
    for path, values in ours.items():
        np.testing.assert_allclose(values, theirs[path], rtol=0, atol=1e-6, err_msg=path)


@pytest.mark.slow
def test_pca_of_two_executors_is_that_of_one_process(ran: Ran) -> None:
    ours, theirs = ran.stack.pca(ran.on_yarn), ran.stack.pca(ran.in_one)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[name], rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_everything_listened_on_loopback_only(ran: Ran) -> None:
    seen = ran.stack.listening
    assert any(EXECUTOR in line for line, _ in seen)
    assert {address for _, address in seen} == {"127.0.0.1"}, seen


@pytest.mark.slow
def test_a_failing_step_shows_its_traceback_and_where_the_package_came_from(stack: Stack) -> None:
    _, cluster = stack.plan("fails")
    failing = stack.start(cluster, script_step(stack, "fails"), spark_executor_instances="1")
    stack.wait(failing, lambda states: not {"PENDING", "RUNNING"} & set(states))
    (ended,) = stack.emr.list_steps(ClusterId=failing)["Steps"]
    assert ended["Status"]["State"] == "FAILED"
    assert ended["Status"]["FailureDetails"]["Reason"] == "spark-submit ended with exit code 1"
    stdout = (stack.places.emr / failing / "steps" / ended["Id"] / "stdout").read_text()
    assert "Traceback (most recent call last)" in stdout
    assert "ValueError: no photo, says ./fruits.zip/fruits/__init__.py" in stdout  # below the container's own folder
    stack.emr.terminate_job_flows(JobFlowIds=[failing])


@pytest.mark.slow
def test_down_ends_containers_that_run_and_keeps_no_key(stack: Stack) -> None:
    """Last of those that share the services, because it ends them."""
    _, cluster = stack.plan("never-ends")
    endless = stack.start(cluster, script_step(stack, "never_ends"))

    def containers() -> list[psutil.Process]:
        return [each for each in supervision.marked(stack.places) if EXECUTOR in command_line(each)]

    stack.wait(endless, lambda states: states == ["RUNNING"] and len(containers()) >= 2)
    before = supervision.marked(stack.places)
    supervision.stop(stack.places)
    assert supervision.marked(stack.places) == []
    assert {command_line(each) for each in before if each.is_running()} <= {""}  # "" is a zombie that nobody waits for
    assert [name for name, port in stack.record.ports.items() if not ports.is_free(port)] == []

    secret = stack.record.secrets.s3_secret_key
    assert not [line for line in stack.command_lines if secret in line]
    for folder in (stack.places.yarn, stack.places.spark_conf, stack.places.emr, stack.places.logs):
        held = [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
        assert held == []
