"""The line of a figure over the last runs."""

from fruits_airflow.ui.trend import HEIGHT, MARGIN, WIDTH, trend


def test_a_trend_goes_from_the_oldest_to_the_newest_and_is_scaled_from_zero() -> None:
    found = trend("photos", [10, 0])
    assert found is not None
    assert found.values == (0, 10)
    assert found.points == f"{MARGIN},{HEIGHT - MARGIN} {WIDTH - MARGIN},{MARGIN}".replace(",", ".0,").replace(" ", ".0 ") + ".0"


def test_unknown_figures_are_left_out_and_one_point_is_no_trend() -> None:
    assert trend("photos", [None, 3, None]) is None
    found = trend("photos", [None, 3, None, 5])
    assert found is not None
    assert found.values == (5, 3)


def test_only_the_last_runs_count() -> None:
    found = trend("k", list(range(100)), runs=30)
    assert found is not None
    assert found.values == tuple(reversed(range(30)))


def test_figures_that_are_all_zero_lie_on_the_ground() -> None:
    found = trend("rejects", [0, 0, 0])
    assert found is not None
    assert {point.split(",")[1] for point in found.points.split()} == {f"{HEIGHT - MARGIN:.1f}"}
