"""Settings that the gateway and the webhooks service share (`DETECTOR_WEBHOOK_*`)."""

from pydantic import SecretStr, field_validator

from shared.core.settings import BaseAppSettings
from shared.keys.signing_secrets import SecretBox


class WebhookSettings(BaseAppSettings):
    """How signing secrets are kept, and which receivers may lie inside the network."""

    # Encrypts webhooks' signing secrets at rest: 64 hexadecimal digits (`openssl rand -hex 32`).
    # To change it, put the new key first and the old ones after it, parted by commas.
    webhook_secret_keys: SecretStr
    # Receivers that may have a non-public address or an unusual port: host, host:port or CIDR,
    # parted by commas. All others must be public and on port 80 or 443.
    webhook_allowed_hosts: str = ""

    @field_validator("webhook_secret_keys")
    @classmethod
    def _usable(cls, value: SecretStr) -> SecretStr:
        SecretBox(value.get_secret_value())
        return value

    def secret_box(self) -> SecretBox:
        """Return what encrypts and decrypts signing secrets."""
        return SecretBox(self.webhook_secret_keys.get_secret_value())

    def allowed_receivers(self) -> tuple[str, ...]:
        """Return the entries of `webhook_allowed_hosts`."""
        return tuple(part.strip() for part in self.webhook_allowed_hosts.split(",") if part.strip())
