"""A container's health check: `healthy.py URL`, or `healthy.py URL PART` for a part of Airflow as its API server reports it.

Standard library only; Airflow's own command line takes ten seconds of a core per call.
"""

import json
import sys
import urllib.request

TIMEOUT_S = 5

with urllib.request.urlopen(sys.argv[1], timeout=TIMEOUT_S) as response:
    health = json.load(response)
for part in sys.argv[2:]:
    if health[part]["status"] != "healthy":
        sys.exit(f"{part}: {health[part]}")
