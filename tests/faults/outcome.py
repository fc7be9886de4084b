"""What a fault has done: photos lost or doubled, other rows changed, and what still runs."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import psutil

from fruits_contract import layout
from local.stack.supervision import Supervisor
from local.waiting import wait_until
from tests.e2e.embedded_stack import Stack

ALIVE_LIMIT_S = 300
STEP = "org.apache.spark.deploy.SparkSubmit"


@dataclass(frozen=True)
class Published:
    """The published tables: the ETag and run of each photo's features, its rejects, and its projections on the current PCA."""

    features: list[tuple[str, str, str]]
    rejects: list[str]
    projected: list[str]

    @classmethod
    def of(cls, stack: Stack) -> "Published":
        features = stack.table(layout.FEATURES_TABLE).rows("path", "etag", "run")
        projected = stack.table(layout.PROJECTED_TABLE).rows("path", pca=stack.current_pca())
        return cls(
            [tuple(row.values()) for row in features.to_pylist()],
            stack.table(layout.REJECTS_TABLE).rows("path")["path"].to_pylist(),
            projected["path"].to_pylist(),
        )

    def others(self, drops: tuple[str, ...]) -> set[tuple[str, str, str]]:
        """Return the features of all other drops."""
        return {row for row in self.features if row[0].split("/")[1] not in drops}


@dataclass(frozen=True)
class Outcome:
    """The four columns of the fault matrix; all of them empty is what is promised."""

    lost: list[str]
    doubled: list[str]
    tables: list[str]
    alive: list[str]

    @classmethod
    def of(cls, stack: Stack, *drops: str, before: Published) -> "Outcome":
        """Compare the tables with the photos of the drops, and with what was published before; wait for what still runs."""
        wait_until(lambda: not _alive(stack), timeout_s=ALIVE_LIMIT_S, every_s=2)
        now = Published.of(stack)
        photos = {key for drop in drops for key in stack.keys(layout.raw_prefix(drop)) if key != layout.ready(drop)}
        rows = Counter([path for path, _, _ in now.features] + now.rejects)
        tables = [] if now.others(drops) == before.others(drops) else ["rows of other drops have changed"]
        if Counter(now.projected) != Counter(path for path, _, _ in now.features):
            tables.append("features and projections on the current PCA differ")
        return cls(sorted(photos - set(rows)), sorted(path for path, number in rows.items() if number > 1), tables, _alive(stack))

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.tables or self.alive)


def steps(stack: Stack) -> list[psutil.Process]:
    """Return the processes of Spark's drivers."""
    return [process for process in Supervisor(stack.services).processes() if STEP in command_line(process)]


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _alive(stack: Stack) -> list[str]:
    clusters: list[Any] = stack.clusters()
    living = [cluster["Id"] for cluster in clusters if not cluster["Status"]["State"].startswith("TERMINATED")]
    return living + [f"process {process.pid}" for process in steps(stack)]
