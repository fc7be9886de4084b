"""The life of one cluster, from STARTING to TERMINATED; knows neither HTTP nor operating system."""

import logging
import threading
import time
from pathlib import Path

from local.emr.logs import LOG_NAMES, LogStore, find_cause, note
from local.emr.model import Capacity, JsonObject, Step, new_id
from local.emr.node import KILL_GRACE_S, Node

ENDING = ("TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS")
logger = logging.getLogger("local.emr")


class Cluster:
    """A cluster, from a valid RunJobFlow request. `changed` guards every attribute and is notified of every change."""

    def __init__(self, request: JsonObject, *, state: Path, spark_conf: Path, region: str, logs: LogStore) -> None:
        self.request, self._logs, instances = request, logs, request["Instances"]
        self.id = new_id("j")
        self.arn = f"arn:aws:elasticmapreduce:{region}:000000000000:cluster/{self.id}"
        self.changed = threading.Condition()
        self.state, self.reason, self._is_error = "STARTING", JsonObject(), False
        self.timeline = {"CreationDateTime": round(time.time(), 3)}
        self.capacity = Capacity(instances)
        self.steps = [Step(config) for config in request.get("Steps", [])]
        self.tags: dict[str, str] = {tag.get("Key", ""): tag.get("Value", "") for tag in request.get("Tags", [])}
        self.policies: dict[str, JsonObject] = {name: request[name] for name in request if name.endswith("Policy")}
        self.is_protected: bool = instances.get("TerminationProtected", False)
        self._is_kept_alive: bool = instances.get("KeepJobFlowAliveWhenNoSteps", False)
        self._node = Node(state / self.id, spark_conf, request.get("Configurations", []))
        self.thread = threading.Thread(target=self._live, name=self.id, daemon=True)

    def to_api(self) -> JsonObject:
        """Describe the cluster: what was asked for, where request and answer share a name, and what became of it."""
        return {
            **{"VisibleToAllUsers": True, "StepConcurrencyLevel": 1, "NormalizedInstanceHours": 0},
            **self.request,
            "Id": self.id,
            "ClusterArn": self.arn,
            "Status": {"State": self.state, "StateChangeReason": self.reason, "Timeline": dict(self.timeline)},
            "Ec2InstanceAttributes": {"IamInstanceProfile": self.request.get("JobFlowRole", "")} | self.request["Instances"],
            "InstanceCollectionType": "INSTANCE_FLEET" if self.capacity.is_fleet else "INSTANCE_GROUP",
            "AutoTerminate": not self._is_kept_alive,
            "TerminationProtected": self.is_protected,
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()],
        }

    def terminate(self, code: str, message: str, *, is_error: bool = False) -> None:
        """Begin to end the cluster, without waiting; the first reason given stays."""
        with self.changed:
            if self.state not in ENDING:
                self._is_error = is_error
                self._enter("TERMINATING", message, code)
                self._node.stop()

    def cancel(self, step_id: str, *, is_gentle: bool) -> str:
        """Cancel a step, with the lock held; returns why it cannot be cancelled, or an empty string."""
        for step in (step for step in self.steps if step.id == step_id):
            if step.state == "PENDING":
                self._end_step(step, "CANCELLED", "Cancelled by user request")
            elif step.state == "RUNNING":
                step.state = "CANCEL_PENDING"
                self._node.stop(f"steps/{step.id}", grace_s=KILL_GRACE_S if is_gentle else 0)
            elif step.state != "CANCEL_PENDING":
                return f"Step {step.id} is {step.state}; only a PENDING or RUNNING step can be cancelled."
            return ""
        return f"Step id '{step_id}' is not valid."

    def _live(self) -> None:
        logger.info("%s STARTING", self.id)
        try:
            self._node.prepare()
            self._bootstrap()
            self._work()
        except Exception as error:  # whatever it is, the cluster must end and say so
            self.terminate("INTERNAL_ERROR", f"{type(error).__name__}: {error}", is_error=True)
        with self.changed:
            self._cancel_pending()
            self.changed.wait_for(lambda: all("EndDateTime" in step.timeline for step in self.steps))
            self._node.release()
            self.timeline["EndDateTime"] = round(time.time(), 3)
            self._enter("TERMINATED" + "_WITH_ERRORS" * self._is_error, self.reason["Message"], self.reason["Code"])

    def _bootstrap(self) -> None:
        with self.changed:
            if self.state == "STARTING":
                self._enter("BOOTSTRAPPING", "Running bootstrap actions")
        instance = self.capacity.master_instance_id
        for number, action in enumerate(self.request.get("BootstrapActions", []), start=1):
            name = f"bootstrap-actions/{number}"
            if failure := self._run(name, action["ScriptBootstrapAction"], log_key=f"node/{instance}/{name}"):
                why = f"bootstrap action {number} returned a non-zero return code: {failure['Reason']}"
                message = f"On the master instance ({instance}), {why}. Log: {failure['LogFile']}"
                self.terminate("BOOTSTRAP_FAILURE", message, is_error=True)
            if self.state in ENDING:
                return

    def _work(self) -> None:
        """Run steps in order until there is a reason to end."""
        idle_since = 0.0
        with self.changed:
            while self.state not in ENDING:
                pending = [step for step in self.steps if step.state == "PENDING"]
                running = [step for step in self.steps if step.state in ("RUNNING", "CANCEL_PENDING")]
                if pending and len(running) < self.request.get("StepConcurrencyLevel", 1):
                    pending[0].state, pending[0].timeline["StartDateTime"] = "RUNNING", round(time.time(), 3)
                    logger.info("%s %s RUNNING", self.id, pending[0].id)
                    threading.Thread(target=self._run_step, args=(pending[0],), daemon=True).start()
                elif running:
                    self._enter("RUNNING", "Running step")
                    self.changed.wait()
                elif self._is_kept_alive:
                    idle_since = idle_since if self.state == "WAITING" else time.monotonic()
                    last = f"after last step {self.steps[-1].state.lower()}" if self.steps else "to run steps"
                    self._enter("WAITING", f"Cluster ready {last}.")
                    limit_s = self.policies.get("AutoTerminationPolicy", {}).get("IdleTimeout")
                    left_s = None if limit_s is None else idle_since + limit_s - time.monotonic()
                    if left_s is None or left_s > 0 or self.is_protected:
                        self.changed.wait(None if self.is_protected else left_s)
                    else:  # EMR documents no code of its own for this; of its eight this is true of an idle cluster
                        self.terminate("ALL_STEPS_COMPLETED", f"Auto-terminated after {limit_s} s of idle time")
                else:
                    has_failed = any(step.state == "FAILED" for step in self.steps)
                    code = "STEP_FAILURE" if has_failed else "ALL_STEPS_COMPLETED"
                    self.terminate(code, "Steps completed" + " with errors" * has_failed)

    def _run_step(self, step: Step) -> None:
        name = f"steps/{step.id}"
        try:
            failure = self._run(name, step.config["HadoopJarStep"], log_key=name)
            self._node.release(name)
        except Exception as error:  # not the step's failure but ours
            failure = {"Reason": f"{type(error).__name__}: {error}"}
            self.terminate("INTERNAL_ERROR", failure["Reason"], is_error=True)
        with self.changed:  # the logs are up by now: nobody who sees the end has to wait for them
            if failure and (self.state in ENDING or step.state == "CANCEL_PENDING"):
                return self._end_step(step, "CANCELLED", "Cancelled by user request or with its cluster")
            self._end_step(step, "FAILED" if failure else "COMPLETED", failure=failure)
            action = step.config.get("ActionOnFailure", "CONTINUE") if failure else "CONTINUE"
            if action in ("TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW") and not self.is_protected:
                self.terminate("STEP_FAILURE", "Shut down as step failed", is_error=True)
            elif action != "CONTINUE":  # a protected cluster is kept for looking into the error
                self._cancel_pending()

    def _run(self, name: str, asked: JsonObject, *, log_key: str) -> JsonObject:
        """Run a step or a bootstrap action and publish its logs; returns FailureDetails, or nothing if it did well."""
        (folder := self._node.home / name).mkdir(parents=True)
        for log_name in LOG_NAMES:  # from now on a console can tail them
            (folder / log_name).touch()
        try:
            command = asked.get("Args", [])
            if "Path" in asked:
                command = ["bash", str(self._logs.fetch_script(asked["Path"], folder)), *command]
            elif asked["Jar"] != "command-runner.jar" or not command:
                raise FileNotFoundError(f"Jar {asked['Jar']!r}, Args {command}: expected command-runner.jar and a command")
            code = self._node.run(name, command, folder)
            problem = f"{command[0]} ended with exit code {code}" if code else ""
        except Exception as error:  # what cannot be started is the caller's failure, not the service's
            problem = str(error)
            note(folder, problem)
        uri = f"{self.request.get('LogUri', '').rstrip('/')}/{self.id}/{log_key}/"
        log_file = self._logs.upload(folder, uri) if "LogUri" in self.request else str(folder / "stderr")
        cause = find_cause(folder / "stderr") or problem
        return {"Reason": problem, "Message": cause, "LogFile": log_file} if problem else {}

    def _cancel_pending(self) -> None:
        for step in self.steps:
            if step.state == "PENDING":
                self._end_step(step, "CANCELLED", "Job terminated")

    def _end_step(self, step: Step, state: str, message: str = "", failure: JsonObject | None = None) -> None:
        step.state, step.failure, step.reason = state, failure or {}, {"Message": message} if message else {}
        step.timeline["EndDateTime"] = round(time.time(), 3)
        logger.info("%s %s %s", self.id, step.id, state)
        self.changed.notify_all()

    def _enter(self, state: str, message: str, code: str = "") -> None:
        if state != self.state:
            logger.info("%s %s %s", self.id, state, message)
        if state in ("RUNNING", "WAITING"):
            self.timeline.setdefault("ReadyDateTime", round(time.time(), 3))
        self.state, self.reason = state, {"Message": message} | ({"Code": code} if code else {})
        self.changed.notify_all()
