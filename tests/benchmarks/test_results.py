import argparse
import json

import pytest

from benchmarks import command_line
from benchmarks.results import Results, flatten, machine, to_markdown
from benchmarks.rounds import Rounds
from local.stack import StackError

RESULTS = Results(
    Rounds({"30 ms": {"images/s": [80.0, 82.0, 81.0]}}, failed={"ray": "exit code 1, ImportError"}),
    ratios={"kept": {"litert": 0.95}},
    settings={"photos": 10},
)
MACHINE = {"cpu": "a CPU", "cores": 2, "memory_gb": 8, "system": "Linux", "is_virtual": True, "load_average": 0.1}
CONTENT = RESULTS.to_json("latency", machine=MACHINE, seconds=12.3)


def test_the_json_names_the_conditions_of_the_measurement():
    assert json.loads(json.dumps(CONTENT)) == CONTENT
    assert {"date", "commit", "machine", "versions", "settings", "checks"} <= CONTENT.keys()
    assert {"python", "pyspark", "numpy"} <= CONTENT["versions"].keys()
    assert machine().keys() == MACHINE.keys()


def test_the_markdown_has_ratios_figures_failures_and_conditions():
    text = to_markdown(CONTENT)
    assert "| `kept.litert` | **0.95** |" in text
    assert "| 30 ms | images/s | 80 | 81 | 82 |" in text
    assert "| ray | failed: exit code 1, ImportError |" in text
    assert "rounds 3, photos 10" in text
    assert "a CPU, virtual, 2 cores, 8 GB" in text
    assert CONTENT["date"][:10] in text


def test_nested_ratios_are_joined_by_dots():
    assert list(flatten({"a": {"b": 1.0, "c": 2.0}, "d": 3.0})) == [("a.b", 1.0), ("a.c", 2.0), ("d", 3.0)]


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """Run the command line with its output folders in `tmp_path`; returns the exit code and the files written."""
    monkeypatch.setattr(command_line, "REPO", tmp_path)
    monkeypatch.setattr(command_line, "OUT", tmp_path / "out")
    monkeypatch.setattr(command_line, "KEPT", tmp_path / "kept")

    def run(measure, **options):
        code = command_line.main("latency", argparse.Namespace(keep=True, **options), measure)
        return code, sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json"))

    return run


def test_results_are_printed_and_kept(measured, capsys):
    assert measured(lambda arguments: RESULTS) == (0, ["kept/latency.json", "out/latency.json"])
    assert "images/s" in capsys.readouterr().out


def test_results_without_a_ratio_are_not_kept(measured):
    assert measured(lambda arguments: Results(RESULTS.rounds, ratios={}, settings={})) == (1, ["out/latency.json"])


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (OSError("the disk is full"), 1), (StackError("S3 did not answer"), 1)]
)
def test_a_failed_measurement_writes_nothing(error, code, measured, capsys):
    def measure(arguments):
        raise error

    assert measured(measure) == (code, [])
    assert str(error) in capsys.readouterr().err
