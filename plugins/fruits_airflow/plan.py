"""What the planning task of a run decided and its later tasks read: one XCom."""

from dataclasses import asdict, dataclass
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import Context

from fruits_contract.pipeline import Pipeline, RunParams
from fruits_contract.pipelines import BY_DAG_ID


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A planned run.

    Parameters
    ----------
    pipeline
        Whose stages run.
    params
        What every stage receives, of the type `pipeline.run_params`.
    region
        Region of the bucket and the cluster.
    job_flow
        The RunJobFlow request.
    stage_limit_s
        How long each of its stages may take.
    """

    pipeline: Pipeline
    params: RunParams
    region: str
    job_flow: dict[str, Any]
    stage_limit_s: int

    def to_xcom(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        return {
            "pipeline": self.pipeline.dag_id,
            "params": asdict(self.params),
            "region": self.region,
            "job_flow": self.job_flow,
            "stage_limit_s": self.stage_limit_s,
        }

    @classmethod
    def from_xcom(cls, data: dict[str, Any]) -> "Plan":
        """Read `to_xcom` back; that of an earlier release may have more."""
        pipeline = BY_DAG_ID[data["pipeline"]]
        return cls(
            pipeline=pipeline,
            params=pipeline.run_params(**data["params"]),
            region=data["region"],
            job_flow=data["job_flow"],
            stage_limit_s=data["stage_limit_s"],
        )

    @classmethod
    def of_run(cls, context: Context) -> "Plan":
        """Return the plan of the run that a task is part of.

        By task id rather than as an argument, which would add an edge from the planning task to every task that reads the plan.
        """
        plan_task = BY_DAG_ID[context["ti"].dag_id].plan_task
        data = context["ti"].xcom_pull(task_ids=plan_task)
        if data is None:
            raise AirflowFailException(f"{plan_task} returned no plan; clear it or trigger a new run")
        return cls.from_xcom(data)
