"""Runs that overlap."""

import time
from collections.abc import Callable

import pytest

from tests.e2e.embedded_stack import DAG
from tests.faults.conftest import FIRST_PHOTOS, PHOTOS, photo_folder
from tests.faults.matrix import FaultyStack, Row
from tests.faults.outcome import Published

pytestmark = [pytest.mark.slow, pytest.mark.separate]

HOUSEKEEPING = "fruits_housekeeping"
Record = Callable[[Row], None]


def test_two_runs_of_one_drop(faulty: FaultyStack, drop: str, record: Record) -> None:
    before, began = Published.of(faulty.stack), time.monotonic()
    runs = [faulty.trigger(drop) for _ in range(2)]
    ended = [faulty.stack.wait(DAG, run) for run in runs]
    assert "success" in {each.state for each in ended}
    worst = next((each for each in ended if each.state != "success"), ended[0])
    record(faulty.judge("two runs of one drop at once", worst, drop, before=before, began=began))


def test_housekeeping_during_a_run(faulty: FaultyStack, drop: str, record: Record) -> None:
    """While a fit has listed the files of the tables, housekeeping looks for orphans, compacts and vacuums."""
    faulty.stack.pause(HOUSEKEEPING, is_paused=False)

    def keep_house(dag_run_id: str) -> None:
        faulty.wait_for_step(dag_run_id, "featurize")
        ended = faulty.stack.wait(HOUSEKEEPING, faulty.stack.api.trigger(HOUSEKEEPING, {}))
        assert ended.state == "success", ended.tasks

    row = faulty.survive("housekeeping during a fit", drop, keep_house, params={"mode": "fit"}, must_succeed=True)
    faulty.stack.pause(HOUSEKEEPING, is_paused=True)
    record(row)


def test_two_fits_of_two_drops(faulty: FaultyStack, drop: str, record: Record, tmp_path_factory: pytest.TempPathFactory) -> None:
    before, began = Published.of(faulty.stack), time.monotonic()
    other = f"{drop}-other"
    faulty.stack.upload(photo_folder(tmp_path_factory, FIRST_PHOTOS + PHOTOS, PHOTOS), other)
    runs = [faulty.trigger(name, mode="fit") for name in (drop, other)]
    ended = [faulty.stack.wait(DAG, run) for run in runs]
    assert "success" in {each.state for each in ended}
    worst = next((each for each in ended if each.state != "success"), ended[0])
    record(faulty.judge("two fits of two drops at once", worst, drop, other, before=before, began=began))
