"""A container's health check: `healthy.py URL`, or `healthy.py URL PART` for a part of Airflow as its API server sees it.

Standard library only, and without Airflow's own command line, which needs ten seconds of a core per call.
"""

import json
import sys
import urllib.request

TIMEOUT_S = 5

with urllib.request.urlopen(sys.argv[1], timeout=TIMEOUT_S) as answer:
    told = json.load(answer)
sys.exit(0 if len(sys.argv) == 2 or told[sys.argv[2]]["status"] == "healthy" else f"{sys.argv[2]}: {told[sys.argv[2]]}")
