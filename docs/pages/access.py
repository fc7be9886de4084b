"""Writes docs/access.md from the role table and from what is never called, which tests hold."""

from docs.pages.text import page, table
from tests.infra import never_called, role_table
from tests.infra.role_table import Row

# Role: who assumes it, what for.
ROLES = {
    "airflow": (
        "Amazon MWAA or `AirflowPrincipal`",
        "sensor and triggerer, planning, EMR, publishing, housekeeping, erasure, review and pages",
    ),
    "emr-service": ("EMR", "instances, disks and network interfaces of clusters"),
    "emr-node": ("EC2, as instance profile", "bootstrap action, stages and EMR's agent on the nodes"),
    "serving": ("ECS or Lambda", "the prediction service"),
    "deployer": (
        "a policy for people",
        "`make deploy`, `make release`; `make undeploy` deletes the policy itself, and needs an administrator",
    ),
}


def content() -> str:
    """Return docs/access.md."""
    rows = role_table.rows()
    denials = sum(not row.is_allowed for row in rows)
    return page(
        "Access",
        "The roles of [infra/access.yaml](../infra/access.yaml), each with what it calls and no more "
        "([0030](decisions/0030-own-roles.md)). Their names begin with the name of the deployment: `fruits-airflow`.",
        table(("role", "assumed by", "for"), ((f"`{role}`", *about) for role, about in ROLES.items())),
        f"The {len(rows)} rows below, {denials} of them denials, are evaluated by an IAM engine with every `make test` "
        "(`tests/infra/test_role_table.py`). Another test replays what each role was recorded to request in end-to-end runs "
        "(`make record-calls`), and what CloudFormation calls for `infra/*.yaml` by the schemas of their resource types: nothing "
        "of it is denied.",
        *(part for role in ROLES for part in _of_role(role, rows)),
        "## Allowed, and never called",
        "What the recorded calls do not need, with the reason why it stays; a test compares the list.",
        table(
            ("role", "action", "resource", "why"),
            ((f"`{item.role}`", f"`{item.action}`", _code(item.resource), item.why) for item in never_called.items()),
        ),
    )


def _of_role(role: str, rows: list[Row]) -> list[str]:
    own = [row for row in rows if row.call.role == role]
    cells = (
        ("may" if row.is_allowed else "**may not**", f"`{row.call.action}`", _code(row.resource), _conditions(row), row.why)
        for row in own
    )
    return [f"## {role}", table(("", "action", "resource", "condition of the request", "why"), cells)]


def _conditions(row: Row) -> str:
    return ", ".join(f"`{name}` = `{value}`" for name, value in row.call.context.items())


def _code(resource: str) -> str:
    return f"`{resource}`"
