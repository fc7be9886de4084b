"""The place in a report for what the cluster has cost, which is known only after the report was written."""

import re

BEGIN, END = "<!-- actual cost -->", "<!-- end of actual cost -->"
UNKNOWN = f"{BEGIN}known once the cluster is terminated{END}"


def with_actual(page: str, cost: str) -> str:
    """Return the page with the cost, e.g. '0.31 USD', in its place; a page of an earlier release has no such place."""
    return re.sub(f"{BEGIN}.*?{END}", f"{BEGIN}{cost}{END}", page, flags=re.DOTALL)
