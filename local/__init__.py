"""Everything that runs this project on one machine: the services, an EMR emulator, and the client that uses them."""

from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
CACHE = REPO / ".fruits" / "cache"  # what can be fetched or built again
AIRFLOW_USER = "admin"
