"""Secret keys in settings: 32 bytes as 64 hexadecimal digits, several parted by commas."""

import secrets

_BYTES = 32


def new_secret_key() -> str:
    """Return a new key."""
    return secrets.token_hex(_BYTES)


def read_secret_keys(text: str) -> list[bytes]:
    """Return the keys in a setting, 32 bytes each; raises ValueError for other text."""
    return [_read(part) for part in text.split(",")]


def _read(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text.strip())
    except ValueError:
        raw = b""
    if len(raw) != _BYTES:
        raise ValueError("each key must be 64 hexadecimal digits, as `openssl rand -hex 32` prints")
    return raw
