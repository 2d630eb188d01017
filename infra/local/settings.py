"""Settings of `make up` and `make demo` (`DETECTOR_*`)."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.core.settings import local_dir


class LocalSettings(BaseSettings):
    """Where the embedded stack lies and which ports people see.

    Addresses of external servers are read as `ExternalServers`.
    """

    model_config = SettingsConfigDict(env_prefix="DETECTOR_", frozen=True, extra="ignore")

    # All data, logs and secrets of the stack; ignored by git.
    local_dir: Path = Field(default_factory=local_dir)
    # Loopback, because the stack is for one machine; 0.0.0.0 lets others reach the gateway.
    gateway_host: str = "127.0.0.1"
    # Taken by another program, a free one is chosen and said.
    gateway_port: int = Field(default=8000, ge=1, le=65535)
    # TCP port of the web UI.
    ui_port: int = Field(default=8501, ge=1, le=65535)
    # Encrypts webhooks' signing secrets; by default one that the stack generates and keeps. Set it
    # when the database is another stack's.
    webhook_secret_keys: SecretStr | None = None
    # Sign evidence bundles; by default one that the stack generates and keeps.
    gateway_evidence_keys: SecretStr | None = None
    # Seconds that one server or service may take to be ready; importing the machine-learning
    # libraries on a busy machine with cold disk caches takes most of it.
    boot_timeout_seconds: float = Field(default=120.0, gt=0)
