"""The lifecycle of one cluster, from STARTING to TERMINATED."""

import json
import logging
import threading
import time
from pathlib import Path

from local.emr.instances import HOST_NAME, Instances
from local.emr.logs import LOG_NAMES, LogStore, find_cause, note
from local.emr.model import DEFAULT_ACTION, JsonObject, Step, new_id, now
from local.emr.node import KILL_GRACE_S, Node

DESCRIPTION = "cluster.json"
ENDING = ("TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS")
logger = logging.getLogger("local.emr")


class Cluster:
    """A cluster, from a valid RunJobFlow request. `changed` guards every attribute and is notified of every change."""

    def __init__(self, request: JsonObject, *, folder: Path, spark_conf: Path, region: str, logs: LogStore) -> None:
        self.request, self._region, self._logs = request, region, logs
        self.id = new_id("j")
        self.arn = f"arn:aws:elasticmapreduce:{region}:000000000000:cluster/{self.id}"
        self.changed = threading.Condition()
        self.state, self.reason = "STARTING", JsonObject()
        self.timeline = {"CreationDateTime": now()}
        self.instances = Instances(request["Instances"])
        self.steps = [Step(config) for config in request.get("Steps", [])]
        self.step_concurrency: int = request.get("StepConcurrencyLevel", 1)
        self.tags: dict[str, str] = {tag.get("Key", ""): tag.get("Value", "") for tag in request.get("Tags", [])}
        self.policies: dict[str, JsonObject] = {name: request[name] for name in request if name.endswith("Policy")}
        self.is_protected: bool = request["Instances"].get("TerminationProtected", False)
        self._is_kept_alive: bool = request["Instances"].get("KeepJobFlowAliveWhenNoSteps", False)
        self.thread = threading.Thread(target=self._live, name=self.id, daemon=True)
        self._node = Node(folder / self.id, spark_conf, request.get("Configurations", []))
        self._has_error, self._idle_since = False, 0.0

    def describe(self) -> JsonObject:
        """Describe the cluster; the server removes the members of the request that an answer does not have."""
        placement = self.request["Instances"].get("Placement", {})
        zones = placement.get("AvailabilityZones") or [f"{self._region}a"]
        return {
            "VisibleToAllUsers": True,
            **self.request,
            "Id": self.id,
            "ClusterArn": self.arn,
            "Status": {"State": self.state, "StateChangeReason": self.reason, "Timeline": dict(self.timeline)},
            "Ec2InstanceAttributes": {
                **self.request["Instances"],
                "IamInstanceProfile": self.request.get("JobFlowRole", ""),
                "Ec2AvailabilityZone": placement.get("AvailabilityZone", zones[0]),
            },
            "InstanceCollectionType": "INSTANCE_FLEET" if self.instances.is_fleet else "INSTANCE_GROUP",
            "MasterPublicDnsName": HOST_NAME,
            "NormalizedInstanceHours": 0,
            "AutoTerminate": not self._is_kept_alive,
            "TerminationProtected": self.is_protected,
            "StepConcurrencyLevel": self.step_concurrency,
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()],
        }

    def find_step(self, step_id: str) -> Step | None:
        return next((step for step in self.steps if step.id == step_id), None)

    def terminate(self, code: str, message: str, *, is_error: bool = False) -> None:
        """Start the termination, without waiting; the first reason stays."""
        with self.changed:
            if self.state not in ENDING:
                self._has_error = is_error
                self._enter("TERMINATING", message, code)
                self._node.stop()

    def cancel_step(self, step_id: str, *, is_gentle: bool) -> str:
        """Cancel a step, with the lock held; return why it cannot be cancelled, or an empty string."""
        step = self.find_step(step_id)
        if step is None:
            return f"Step id '{step_id}' is not valid."
        if step.state == "PENDING":
            self._end_step(step, "CANCELLED", message="Cancelled by user request")
        elif step.state == "RUNNING":
            step.state = "CANCEL_PENDING"
            self._node.stop(f"steps/{step.id}", grace_s=KILL_GRACE_S if is_gentle else 0)
        elif step.state != "CANCEL_PENDING":
            return f"Step {step.id} is {step.state}; only a PENDING or RUNNING step can be cancelled."
        return ""

    def _live(self) -> None:
        logger.info("%s STARTING", self.id)
        try:
            self._node.prepare()
            self._bootstrap()
            self._run_steps()
        except Exception as error:  # whatever the error, the cluster must end and report it
            self.terminate("INTERNAL_ERROR", f"{type(error).__name__}: {error}", is_error=True)
        with self.changed:
            self._cancel_pending_steps()
            self.changed.wait_for(lambda: all("EndDateTime" in step.timeline for step in self.steps))
            self._node.release()
            self.timeline["EndDateTime"] = now()
            end_state = "TERMINATED_WITH_ERRORS" if self._has_error else "TERMINATED"
            self._enter(end_state, self.reason["Message"], self.reason["Code"])
            self._save_description()

    def _save_description(self) -> None:
        """Keep the description for the next start of the service, in one step."""
        self._node.home.mkdir(parents=True, exist_ok=True)
        part = self._node.home / f"{DESCRIPTION}.part"
        part.write_text(json.dumps(self.describe()))
        part.replace(self._node.home / DESCRIPTION)

    def _bootstrap(self) -> None:
        with self.changed:
            if self.state == "STARTING":
                self._enter("BOOTSTRAPPING", "Running bootstrap actions")
        instance_id = self.instances.master_instance_id
        for number, action in enumerate(self.request.get("BootstrapActions", []), start=1):
            if self.state in ENDING:
                return
            name = f"bootstrap-actions/{number}"
            failure = self._run(name, action["ScriptBootstrapAction"], log_key=f"node/{instance_id}/{name}")
            if failure:
                problem = f"bootstrap action {number} returned a non-zero return code: {failure['Reason']}"
                message = f"On the master instance ({instance_id}), {problem}. Log: {failure['LogFile']}"
                self.terminate("BOOTSTRAP_FAILURE", message, is_error=True)

    def _run_steps(self) -> None:
        """Start steps in order, as many at a time as the cluster allows, until there is a reason to terminate."""
        with self.changed:
            if self.state not in ENDING:
                self.timeline["ReadyDateTime"] = now()
            while self.state not in ENDING:
                pending = [step for step in self.steps if step.state == "PENDING"]
                running = [step for step in self.steps if step.state in ("RUNNING", "CANCEL_PENDING")]
                if pending and len(running) < self.step_concurrency:
                    self._start_step(pending[0])
                elif running:
                    self._enter("RUNNING", "Running step")
                    self.changed.wait()
                elif self._is_kept_alive:
                    self._wait_for_steps()
                elif any(step.state == "FAILED" for step in self.steps):
                    self.terminate("STEP_FAILURE", "Steps completed with errors")
                else:
                    self.terminate("ALL_STEPS_COMPLETED", "Steps completed")

    def _wait_for_steps(self) -> None:
        """Wait for a change; terminate when the idle timeout of the auto-termination policy has passed."""
        if self.state != "WAITING":
            self._idle_since = time.monotonic()
            last_step = f"after last step {self.steps[-1].state.lower()}" if self.steps else "to run steps"
            self._enter("WAITING", f"Cluster ready {last_step}.")
        timeout_s = self.policies.get("AutoTerminationPolicy", {}).get("IdleTimeout")
        if timeout_s is None or self.is_protected:
            self.changed.wait()
        elif time.monotonic() < self._idle_since + timeout_s:
            self.changed.wait(self._idle_since + timeout_s - time.monotonic())
        else:  # EMR documents no code for this reason; of those it has, this one is true of an idle cluster
            self.terminate("ALL_STEPS_COMPLETED", f"Auto-terminated after {timeout_s} s of idle time")

    def _start_step(self, step: Step) -> None:
        step.state = "RUNNING"
        step.timeline["StartDateTime"] = now()
        logger.info("%s %s RUNNING", self.id, step.id)
        threading.Thread(target=self._run_step, args=(step,), daemon=True).start()

    def _run_step(self, step: Step) -> None:
        name = f"steps/{step.id}"
        try:
            failure = self._run(name, step.config["HadoopJarStep"], log_key=name)
            self._node.release(name)
        except Exception as error:  # an error of the emulator, not of the step
            failure = {"Reason": f"{type(error).__name__}: {error}"}
            self.terminate("INTERNAL_ERROR", failure["Reason"], is_error=True)
        with self.changed:  # the logs are uploaded by now, so a client that sees the end finds them
            if failure is None:
                self._end_step(step, "COMPLETED")
            elif step.state == "CANCEL_PENDING" or self.state in ENDING:
                self._end_step(step, "CANCELLED", message="Cancelled by user request or with its cluster")
            else:
                self._end_step(step, "FAILED", failure=failure)
                self._act_on_failure(step.config.get("ActionOnFailure", DEFAULT_ACTION))

    def _act_on_failure(self, action: str) -> None:
        if action == "CONTINUE" or self.step_concurrency > 1:  # EMR ignores the action where steps run side by side
            return
        if action == "CANCEL_AND_WAIT" or self.is_protected:  # a protected cluster stays up for debugging
            self._cancel_pending_steps()
        else:
            self.terminate("STEP_FAILURE", "Shut down as step failed", is_error=True)

    def _run(self, name: str, program: JsonObject, *, log_key: str) -> JsonObject | None:
        """Run a step or a bootstrap action and upload its logs; return FailureDetails, or None if it succeeded."""
        folder = self._node.home / name
        folder.mkdir(parents=True)
        for log_name in LOG_NAMES:  # a console can tail them from now on
            (folder / log_name).touch()
        try:
            command: list[str] = program.get("Args", [])
            if "Path" in program:
                command = ["bash", str(self._logs.fetch_script(program["Path"], folder)), *command]
            elif program["Jar"] != "command-runner.jar" or not command:
                raise FileNotFoundError(f"Jar {program['Jar']!r}, Args {command}: expected command-runner.jar and a command")
            code = self._node.run(name, command, folder)
            problem = f"{command[0]} ended with exit code {code}" if code else ""
        except Exception as error:  # a program that cannot be started is the caller's failure
            problem = str(error)
            note(folder, problem)
        log_file = str(folder / "stderr")
        if "LogUri" in self.request:
            log_file = self._logs.upload(folder, f"{self.request['LogUri'].rstrip('/')}/{self.id}/{log_key}/")
        if not problem:
            return None
        return {"Reason": problem, "Message": find_cause(folder / "stderr") or problem, "LogFile": log_file}

    def _cancel_pending_steps(self) -> None:
        for step in self.steps:
            if step.state == "PENDING":
                self._end_step(step, "CANCELLED", message="Job terminated")

    def _end_step(self, step: Step, state: str, *, message: str = "", failure: JsonObject | None = None) -> None:
        step.state, step.failure = state, failure
        step.reason = {"Message": message} if message else {}
        step.timeline["EndDateTime"] = now()
        logger.info("%s %s %s", self.id, step.id, state)
        self.changed.notify_all()

    def _enter(self, state: str, message: str, code: str = "") -> None:
        if state != self.state:
            logger.info("%s %s %s", self.id, state, message)
        self.state = state
        self.reason = {"Code": code, "Message": message} if code else {"Message": message}
        self.changed.notify_all()


def read_ended(folder: Path) -> dict[str, JsonObject]:
    """Read the descriptions of the clusters that ended before this service started, by id."""
    return {file.parent.name: json.loads(file.read_text()) for file in folder.glob(f"*/{DESCRIPTION}")}
