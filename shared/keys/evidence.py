"""Signatures over evidence: Ed25519 (RFC 8032), so that anybody can check what this system stated.

A key is kept as its seed, 64 hexadecimal digits; public keys travel as PEM (RFC 8410), which
`openssl` reads as well.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from shared.keys.secret_keys import read_secret_keys

ALGORITHM: Final = "Ed25519"
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class EvidenceKey:
    """A public key. `id` is the start of the SHA-256 of its 32 bytes, 16 hexadecimal digits."""

    id: str
    pem: str


class EvidenceSigner:
    """Signs with the first key; the others' public halves stay published for older bundles."""

    def __init__(self, keys: str) -> None:
        """Take one or more seeds, parted by commas; raises ValueError."""
        self._keys = [Ed25519PrivateKey.from_private_bytes(seed) for seed in read_secret_keys(keys)]
        self.public_keys = [_described(key.public_key()) for key in self._keys]

    @property
    def current(self) -> EvidenceKey:
        """The public half of the key that signs."""
        return self.public_keys[0]

    def sign(self, data: bytes) -> bytes:
        """Return the 64 bytes of the signature over `data`; the same for the same data."""
        return self._keys[0].sign(data)


def is_signed(pem: str, signature: bytes, data: bytes) -> bool:
    """Tell whether the holder of the key in `pem` signed `data`; raises ValueError for no key."""
    try:
        _public_key(pem).verify(signature, data)
    except InvalidSignature:
        return False
    return True


def read_public_keys(text: str) -> list[EvidenceKey]:
    """Return the keys in a PEM file or in the gateway's own answer; raises ValueError for none."""
    # JSON writes line ends as a backslash and an n.
    found = [_described(_public_key(pem)) for pem in _PEM.findall(text.replace("\\n", "\n"))]
    if not found:
        raise ValueError("there is no public key (PEM) in it")
    return found


def _public_key(pem: str) -> Ed25519PublicKey:
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("it is no Ed25519 key")  # noqa: TRY004  # of text, not of a Python type
    return key


def _described(key: Ed25519PublicKey) -> EvidenceKey:
    digest = hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return EvidenceKey(digest[:16], pem)
