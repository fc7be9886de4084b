"""The place in a report for what the cluster has cost, which is known only after the report was written."""

import re

BEGIN, END = "<!-- actual cost -->", "<!-- end of actual cost -->"
UNKNOWN = f"{BEGIN}known once the cluster is terminated{END}"


def with_actual(page: str, *, usd: float) -> str:
    """Return the report's page with the cost in its place; a page of an earlier release has none and stays as it is."""
    return re.sub(f"{BEGIN}.*?{END}", f"{BEGIN}{usd:.2f} USD{END}", page, flags=re.DOTALL)
