"""What runs in the containers of docker-compose.yaml, and what prepares them."""

from pathlib import Path

# the volume of the EMR service: clusters with their logs, and the nodes' Python
EMR_STATE = Path("/var/lib/fruits")
