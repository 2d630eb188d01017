"""Webhook signing secrets: made here, and encrypted before they reach the database.

Format: Standard Webhooks 1.0, "Secrets" (github.com/standard-webhooks/standard-webhooks).
"""

import base64
import contextlib
import secrets
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shared.core.errors import DetectorError
from shared.keys.secret_keys import read_secret_keys

SECRET_PREFIX = "whsec_"  # noqa: S105  # what every secret starts with
_SECRET_BYTES = 32


class SecretUnreadable(DetectorError):
    """A stored secret was encrypted with none of the keys of DETECTOR_WEBHOOK_SECRET_KEYS."""


class SecretBox:
    """Encrypts secrets at rest with the first key; decrypts with any (Fernet, AES-128-CBC + HMAC).

    To change keys, put the new one first; what was encrypted with the others stays readable.
    """

    def __init__(self, keys: str) -> None:
        """Take one or more keys of 64 hexadecimal digits, parted by commas; raises ValueError."""
        self._fernet = MultiFernet(
            [Fernet(base64.urlsafe_b64encode(key)) for key in read_secret_keys(keys)]
        )

    def seal(self, secret: str) -> bytes:
        """Return `secret` encrypted."""
        return self._fernet.encrypt(secret.encode())

    def open(self, ciphertext: bytes) -> str:
        """Return the secret in `ciphertext`; raises SecretUnreadable."""
        try:
            return self._fernet.decrypt(ciphertext).decode()
        except InvalidToken as error:
            raise SecretUnreadable("no key of DETECTOR_WEBHOOK_SECRET_KEYS fits") from error

    def open_readable(self, ciphertexts: Sequence[bytes]) -> list[str]:
        """Return the secrets of those that can be read; raises SecretUnreadable when none can."""
        secrets: list[str] = []
        for ciphertext in ciphertexts:
            with contextlib.suppress(SecretUnreadable):
                secrets.append(self.open(ciphertext))
        if not secrets:
            raise SecretUnreadable("no key of DETECTOR_WEBHOOK_SECRET_KEYS fits")
        return secrets


def new_secret() -> str:
    """Return a new signing secret: `whsec_` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
