"""Everything killed with SIGKILL at random moments of a run, and started again."""

import contextlib
import os
import random
import time
from collections.abc import Callable

import psutil
import pytest

from local.stack import ports, services
from local.stack.supervision import Supervisor
from local.waiting import wait_until
from tests.e2e.embedded_stack import DAG
from tests.faults.matrix import FaultyStack, Row
from tests.faults.outcome import Published

pytestmark = [pytest.mark.slow, pytest.mark.separate]

KILLS = int(os.environ.get("KILLS") or 3)
RUN_S = 60  # about as long as a run takes here
MOMENTS = [round(random.Random(seed).uniform(1, RUN_S), 1) for seed in range(KILLS)]


@pytest.mark.parametrize("moment", MOMENTS)
def test_everything_killed(faulty: FaultyStack, drop: str, record: Callable[[Row], None], moment: float) -> None:
    before, began = Published.of(faulty.stack), time.monotonic()
    dag_run_id = faulty.trigger(drop)
    time.sleep(moment)
    for process in Supervisor(faulty.stack.services).processes():
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended by itself, or with its parent
            process.kill()
    assert wait_until(lambda: not Supervisor(faulty.stack.services).processes(), timeout_s=30)
    # Children of killed processes end a little later, and this test keeps the addresses.
    assert wait_until(lambda: all(map(ports.is_free, faulty.stack.services.ports.values())), timeout_s=60)
    with services.session(faulty.stack.services):  # starts them again, as another command would
        ended = faulty.stack.wait(DAG, dag_run_id)
        fault = f"everything killed {moment} s after the trigger, then started again"
        record(faulty.judge(fault, ended, drop, before=before, began=began))
