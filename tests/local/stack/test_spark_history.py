"""How the Spark history server is started, and where the steps put what it shows."""

from pathlib import Path

from local.stack import programs, services, spark, spark_history
from local.stack.stack import Secrets, Stack


def make_stack(state: Path) -> Stack:
    stack = Stack(state, Secrets.generate(), programs.choose_ports("local"))
    stack.make_folders()
    return stack


def test_the_server_reads_the_folder_that_the_steps_write_to(tmp_path: Path) -> None:
    stack = make_stack(tmp_path / "state with blank")
    spark.write_config(stack.spark_conf, s3_endpoint=stack.url("s3"))
    spark_history.prepare(stack)
    lines = (stack.spark_conf / "spark-defaults.conf").read_text().splitlines()
    defaults = dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
    assert defaults["spark.eventLog.enabled"] == "true"
    assert defaults["spark.eventLog.dir"] == str(stack.spark_events)
    assert f"-Dspark.history.fs.logDirectory={stack.spark_events}" in spark_history.command(stack)
    assert stack.spark_events.is_dir(), "both fail without it"


def test_the_emr_service_names_the_address_of_the_server(tmp_path: Path) -> None:
    stack = make_stack(tmp_path)
    by_name = {program.name: program for program in programs.table(stack)}
    assert f"-Dspark.history.ui.port={stack.ports['spark-history']}" in by_name["spark-history"].command
    assert by_name["spark-history"].environment == {"SPARK_LOCAL_IP": "127.0.0.1"}, "it knows no keys, and listens nowhere else"
    assert by_name["emr"].command[-2:] == ["--spark-history", f"http://127.0.0.1:{stack.ports['spark-history']}/"]


def test_a_start_of_an_older_version_has_no_status_to_show(tmp_path: Path) -> None:
    assert services.status(Stack(tmp_path, Secrets.generate(), {"s3": 8333, "emr": 8344, "airflow": 8080})) == []


def test_event_logs_do_not_pile_up(tmp_path: Path) -> None:
    command = spark_history.command(make_stack(tmp_path))
    assert {"-Dspark.history.fs.cleaner.enabled=true", "-Dspark.history.fs.cleaner.maxAge=7d"} <= set(command)
