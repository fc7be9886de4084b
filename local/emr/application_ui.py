"""Persistent application UIs: all of them lead to one Spark history server, which shows the applications of every cluster."""

import contextlib
import socket
from collections.abc import Container
from urllib.parse import urlsplit

from local.emr.model import ApiError, JsonObject, invalid_request


class ApplicationUis:
    """The UIs, which need no state: the id of each follows from that of its cluster, as in EMR.

    Parameters
    ----------
    spark_history
        Address of the Spark history server; empty where there is none.
    """

    def __init__(self, spark_history: str) -> None:
        self._spark_history = spark_history

    def answer(self, operation: str, request: JsonObject, *, cluster_ids: Container[str]) -> JsonObject:
        """Create or describe the UI of a cluster, or return the address; it carries no signature."""
        if not self._spark_history:
            raise ApiError("The EMR emulator runs without a Spark history server.")
        if operation == "CreatePersistentAppUI":
            cluster_id = request["TargetResourceArn"].rpartition("/")[2]
            _check(cluster_id in cluster_ids, f"Cluster {request['TargetResourceArn']} does not exist.")
            return {"PersistentAppUIId": cluster_id.replace("j-", "p-", 1), "RuntimeRoleEnabledCluster": False}
        ui_id = request["PersistentAppUIId"]
        _check(ui_id.replace("p-", "j-", 1) in cluster_ids, f"Persistent application UI {ui_id} does not exist.")
        if operation == "DescribePersistentAppUI":
            ui = {"PersistentAppUIId": ui_id, "PersistentAppUIStatus": "ATTACHED", "PersistentAppUITypeList": ["SHS"]}
            return {"PersistentAppUI": ui}
        _check(request.get("PersistentAppUIType", "SHS") == "SHS", "The EMR emulator has the type SHS only.")
        if not self._is_ready():
            return {"PresignedURLReady": False}
        return {"PresignedURLReady": True, "PresignedURL": self._spark_history}

    def _is_ready(self) -> bool:
        address = urlsplit(self._spark_history)
        with contextlib.suppress(OSError), socket.create_connection((address.hostname, address.port), timeout=5):
            return True
        return False


def _check(is_valid: bool, message: str) -> None:
    if not is_valid:
        raise invalid_request(message, "InvalidRequest")
