"""Writes .env for docker-compose.yaml: .env.example with generated secrets; values that .env has already are kept.

Standard library only: `make compose-up` runs it before any environment exists.
"""

import base64
import os
import re
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
GENERATED: dict[str, Callable[[], str]] = {
    "AIRFLOW_PASSWORD": lambda: secrets.token_urlsafe(9),
    "POSTGRES_PASSWORD": lambda: secrets.token_hex(32),
    # Fernet keys are 32 bytes in base64
    "AIRFLOW_FERNET_KEY": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "AIRFLOW_JWT_SECRET": lambda: secrets.token_hex(32),
    "AIRFLOW_API_SECRET": lambda: secrets.token_hex(32),
}
_LINE = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)


def read(path: Path) -> dict[str, str]:
    """Return the variables of a file; none if it does not exist."""
    return dict(_LINE.findall(path.read_text())) if path.exists() else {}


def complete(example: Path, target: Path) -> dict[str, str]:
    """Write `target`, for this user only, and return its variables; a second call changes nothing."""
    known = read(target)
    text = target.read_text() if target.exists() else example.read_text()
    if text and not text.endswith("\n"):
        text += "\n"
    missing = [name for name in read(example) if name not in dict(_LINE.findall(text))]
    text += "".join(f"{name}={read(example)[name]}\n" for name in missing)
    for name, generate in GENERATED.items():
        if not known.get(name):
            text = re.sub(rf"^{name}=$", f"{name}={generate()}", text, flags=re.MULTILINE)
    if not target.exists() or text != target.read_text():
        part = target.with_name(f"{target.name}.part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        part.replace(target)
    return read(target)


if __name__ == "__main__":
    variables = complete(REPO / ".env.example", REPO / ".env")
    if sys.argv[1:] == ["--addresses"]:
        variables |= {name: os.environ[name] for name in variables if os.environ.get(name)}
        print(
            f"Airflow      http://127.0.0.1:{variables['AIRFLOW_PORT']}   user admin   password {variables['AIRFLOW_PASSWORD']}"
        )
        print(f"LocalStack   http://127.0.0.1:{variables['LOCALSTACK_PORT']}   bucket {variables['BUCKET']}")
