import argparse
import json

import pytest

from benchmarks import dag, featurize, pca, scale
from benchmarks.measuring import Figures, Outcome, alternate, flat, main, print_table, ratio, spread, to_json

MACHINE = {"cpu": "a CPU", "cores": 2, "memory_gb": 8, "system": "Linux", "is_virtual": True, "load_average": 0.1}


def figures(**contenders: dict[str, list[float]]) -> Figures:
    return Figures({name.replace("_", ", "): measured for name, measured in contenders.items()})


def outcome() -> Outcome:
    return Outcome(figures(ours={"images/s": [9.0, 11.0, 10.0]}), {"kept": {"litert": 0.9}}, {"images/s": "1/s"}, {"photos": 3})


def test_contenders_take_turns_and_samples_stay_in_order():
    order = []

    def contender(name: str):
        return lambda: order.append(name) or {"s": float(len(order))}

    found = alternate({"a": contender("a"), "b": contender("b")}, repetitions=3)
    assert order == ["a", "b"] * 3
    assert found.of("a", "s") == [1, 3, 5]
    assert found.of("b", "s") == [2, 4, 6]


@pytest.mark.parametrize(("calls", "rounds"), [(1, None), (3, 1), (5, 2)])
def test_interrupted_the_figures_of_whole_rounds_are_kept(calls: int, rounds: int | None):
    done = 0

    def contender():
        nonlocal done
        done += 1
        if done == calls + 1:
            raise KeyboardInterrupt
        return {"s": float(done)}

    contenders = {"a": contender, "b": contender}
    if rounds is None:
        with pytest.raises(KeyboardInterrupt):
            alternate(contenders, repetitions=9)
    else:
        found = alternate(contenders, repetitions=9)
        assert len(found.of("a", "s")) == len(found.of("b", "s")) == rounds


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    assert ratio([10, 20, 90], [10, 10, 10]) == 2
    # a round in which the machine was slow for both does not count against either
    assert ratio([10, 1, 10], [5, 0.5, 5]) == 2


def test_contenders_with_different_numbers_of_rounds_are_not_compared():
    with pytest.raises(ValueError, match="shorter"):
        ratio([1, 2], [1])


def test_spread():
    assert spread([3, 1, 2]) == {"min": 1, "median": 2, "max": 3}


def test_json_holds_everything_that_a_figure_depends_on():
    content = json.loads(json.dumps(to_json("latency", outcome(), machine=MACHINE, seconds=12.3)))
    assert content["ratios"] == {"kept": {"litert": 0.9}}
    assert content["figures"]["ours"]["images/s"] == {"min": 9, "median": 10, "max": 11, "samples": [9, 11, 10]}
    assert {"benchmark", "date", "commit", "machine", "versions", "repetitions", "settings", "units", "checks"} <= content.keys()
    assert {"python", "pyspark", "numpy"} <= content["versions"].keys()


def test_the_table_shows_figures_and_ratios(capsys):
    print_table(to_json("latency", outcome(), machine=MACHINE, seconds=1))
    shown = capsys.readouterr().out
    assert "images/s" in shown and "kept.litert" in shown and "0.9" in shown


def test_nested_ratios_are_named_by_the_way_to_them():
    assert list(flat({"a": {"b": 1.0, "c": 2.0}, "d": 3.0})) == [("a.b", 1.0), ("a.c", 2.0), ("d", 3.0)]


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (OSError("the disk is full"), 1)])
def test_what_keeps_a_benchmark_from_its_end_is_said_and_nothing_is_written(error, code, monkeypatch, tmp_path, capsys):
    def measure(arguments: argparse.Namespace) -> Outcome:
        raise error

    monkeypatch.setattr("benchmarks.measuring.OUT", tmp_path)
    assert main("latency", argparse.Namespace(repetitions=1, keep=False), measure) == code
    assert not list(tmp_path.iterdir())


def test_ratios_of_featurize():
    found = featurize.ratios(
        Figures(
            {
                "ours, litert": {"images/s": [160.0]},
                "engine limit, litert": {"images/s": [200.0]},
                "notebook": {"images/s": [20.0]},
                "ours, cold": {featurize.SMALL: [10.0], featurize.LARGE: [30.0]},
                "ray": {featurize.SMALL: [15.0], featurize.LARGE: [45.0]},
            }
        ),
        ["litert"],
    )
    assert found == {
        "vs_notebook": {"litert": 8},
        "of_engine_limit": {"litert": 0.8},
        "vs_ray": {"steady": 1.5, "cold": 1.5},
    }


def test_ratios_of_pca():
    whole, cached = "from Parquet to model", "fit of cached vectors"
    measured = Figures({"ours, 100 rows": {whole: [2.0]}, "mllib, 100 rows": {whole: [30.0], cached: [20.0]}})
    found = pca.ratios(measured, [100], {"100": {"max_ratio_error": 1e-15}})
    assert found == {"vs_mllib": {"100": 15}, "vs_mllib_cached": {"100": 10}, "max_ratio_error": 1e-15}


def test_ratios_of_dag_name_the_slowest_file():
    measured = Figures({dag.DAG: {"the rest": [9.0, 12.0, 10.0]}, "a.py": {"parse": [0.5]}, "b.py": {"parse": [0.7]}})
    assert dag.ratios(measured, ["a.py", "b.py"]) == {"overhead_s": 10, "parse_s": 0.7}


def test_scale_needs_two_sizes():
    arguments = argparse.Namespace(sizes="1000")
    with pytest.raises(Exception, match="two sizes"):
        scale.measure(arguments)
