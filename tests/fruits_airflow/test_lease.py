"""Whoever changes the tables holds the lease: one at a time, and a holder that died does not block the others."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fruits_airflow import lease
from fruits_airflow.bucket import Bucket
from fruits_airflow.lease import LeaseLost, TablesAreBusy, lease_tables

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "POLL_S", 0.05)
    monkeypatch.setattr(lease, "WAIT_LIMIT_S", 20)


def die_holding(bucket: Bucket, holder: str) -> lease.Lease:
    """Take the lease as a process does that is killed: it neither renews nor releases it."""
    return lease.Lease(bucket, holder, lease._take(bucket, holder))


def test_one_holder_at_a_time(bucket: Bucket) -> None:
    inside: list[str] = []

    def work(holder: str) -> None:
        with lease_tables(bucket, holder=holder):
            inside.append(holder)
            assert len(inside) == 1
            time.sleep(0.02)  # long enough for the others to get in, if they could
            inside.clear()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, map(str, range(8))))


def test_a_failure_in_the_body_releases_it(bucket: Bucket) -> None:
    with pytest.raises(ZeroDivisionError), lease_tables(bucket, holder="r1"):
        _ = 1 // 0
    with lease_tables(bucket, holder="r2"):
        pass


def test_the_lease_of_a_holder_that_died_expires(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = die_holding(bucket, "r1")
    monkeypatch.setattr(lease, "EXPIRES_S", 0.3)
    with lease_tables(bucket, holder="r2") as taken:
        taken.check()
        with pytest.raises(LeaseLost, match="the lease of r1 on the tables was taken over by another process"):
            dead.check()
        taken.check()


def test_a_holder_that_lives_keeps_it(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "EXPIRES_S", 1.0)
    monkeypatch.setattr(lease, "RENEW_S", 0.1)
    monkeypatch.setattr(lease, "WAIT_LIMIT_S", 2.5)
    with lease_tables(bucket, holder="r1") as held:
        with (
            pytest.raises(TablesAreBusy, match=r"the lease on the tables was not free within 2\.5 s, last held by r1"),
            lease_tables(bucket, holder="r2"),
        ):
            pytest.fail("two holders")
        held.check()


def test_a_retry_does_not_wait_for_its_dead_first_try(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    die_holding(bucket, "r1")
    monkeypatch.setattr(lease, "WAIT_LIMIT_S", 0)
    with lease_tables(bucket, holder="r1"):
        pass


def test_nothing_runs_on_after_the_body(bucket: Bucket) -> None:
    before = threading.active_count()
    with lease_tables(bucket, holder="r1"):
        pass
    assert threading.active_count() == before
