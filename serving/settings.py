"""The settings of the service, from environment variables."""

import os

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

KEY_CHARACTERS = 32


class Settings(BaseSettings):
    """Each field is read from `FRUITS_` and its name in capitals, e.g. FRUITS_BUCKET."""

    model_config = SettingsConfigDict(env_prefix="FRUITS_")

    bucket: str = Field(description="bucket with models/, where contributions go as well")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on")
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, description="processes that run the network")
    max_bytes: int = Field(10_000_000, ge=1, description="largest request")
    max_pixels: int = Field(50_000_000, ge=1, description="largest photo")
    read_timeout_s: float = Field(15, gt=0, description="how long a client may take to send a photo")
    photo_timeout_s: float = Field(5, gt=0, description="how long decoding and the network may take")
    max_waiting: int = Field(
        64, ge=1, description="uploads in progress, and photos waiting for a worker, before further ones are refused"
    )
    requests_per_minute: int = Field(120, ge=0, description="per client address; 0: no limit")
    contributor_key: SecretStr = Field(
        SecretStr(""), description="secret of 32 or more characters, for contributors' hashes and tokens; empty: no photo is kept"
    )
    contributions_per_day: int = Field(20, ge=1, description="photos kept per contributor and day")
    poll_s: float = Field(10, gt=0, description="how often to look for a new current classifier")
    drain_s: int = Field(20, ge=1, description="how long requests may take to finish after SIGTERM")

    @field_validator("contributor_key")
    @classmethod
    def _is_long_or_empty(cls, key: SecretStr) -> SecretStr:
        if 0 < len(key) < KEY_CHARACTERS:
            raise ValueError(
                f"expected {KEY_CHARACTERS} or more characters, or an empty value; generate one with: openssl rand -hex 32"
            )
        return key


def describe() -> str:
    """Return one line per variable, for --help."""
    lines = []
    for name, field in Settings.model_fields.items():
        default = "required" if field.is_required() else f"default {field.get_default(call_default_factory=True)}"
        lines.append(f"  FRUITS_{name.upper():<20} {field.description} ({default})")
    return "\n".join(lines)
