import pytest

from benchmarks.commands import CannotMeasure
from benchmarks.rounds import Rounds, alternate


def test_contenders_take_turns_and_samples_stay_in_order():
    order = []

    def contender(name: str):
        return lambda: order.append(name) or {"s": float(len(order))}

    rounds = alternate({"a": contender("a"), "b": contender("b")}, repetitions=3)
    assert order == ["a", "b"] * 3
    assert rounds.samples == {"a": {"s": [1, 3, 5]}, "b": {"s": [2, 4, 6]}}


@pytest.mark.parametrize(("calls", "complete"), [(3, 1), (5, 2)])
def test_an_interrupt_keeps_complete_rounds(calls: int, complete: int):
    rounds = alternate(dict.fromkeys("ab", failing_after(calls, KeyboardInterrupt())), repetitions=9)
    assert len(rounds.samples["a"]["s"]) == len(rounds.samples["b"]["s"]) == complete


def test_an_interrupt_in_the_first_round_is_raised():
    with pytest.raises(KeyboardInterrupt):
        alternate(dict.fromkeys("ab", failing_after(1, KeyboardInterrupt())), repetitions=9)


@pytest.mark.parametrize("calls", [0, 1])
def test_a_failed_contender_is_skipped_with_its_reason(calls: int):
    failing = failing_after(calls, CannotMeasure("no such fruit\nlast line of its log"))
    rounds = alternate({"bad": failing, "good": lambda: {"s": 1.0}}, repetitions=3, skip_failed=True)
    assert rounds.samples == {"good": {"s": [1, 1, 1]}}
    assert rounds.failed == {"bad": "no such fruit"}


def test_a_failure_ends_a_measurement_that_needs_all_contenders():
    with pytest.raises(CannotMeasure):
        alternate({"bad": failing_after(0, CannotMeasure("no such fruit"))}, repetitions=3)


def failing_after(calls: int, error: BaseException):
    samples = iter([{"s": 1.0}] * calls)

    def run():
        try:
            return next(samples)
        except StopIteration:
            raise error from None

    return run


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    rounds = Rounds({"ours": {"s": [10, 20, 90]}, "theirs": {"s": [10, 10, 10]}, "slow": {"s": [10, 2, 10]}})
    assert rounds.ratio(("ours", "s"), ("theirs", "s")) == 2
    assert rounds.ratio(("slow", "s"), ("slow", "s")) == 1


def test_contenders_with_different_numbers_of_rounds_are_not_compared():
    with pytest.raises(ValueError, match="shorter"):
        Rounds({"a": {"s": [1, 2]}, "b": {"s": [1]}}).ratio(("a", "s"), ("b", "s"))
