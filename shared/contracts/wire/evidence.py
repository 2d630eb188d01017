"""JSON bodies about evidence bundles."""

from typing import Literal

from pydantic import Field

from shared.contracts.wire.jobs import Wire


class EvidencePublicKey(Wire):
    """A key whose signatures on bundles are this system's."""

    key_id: str = Field(description="Start of the SHA-256 of the raw key, 16 hexadecimal digits.")
    algorithm: Literal["Ed25519"]
    public_key: str = Field(description="PEM, as `openssl` and `detector evidence verify` read it.")
    current: bool = Field(description="Whether it signs now; others signed before.")


class EvidenceKeyList(Wire):
    """`GET /evidence/keys`, the current one first."""

    data: list[EvidencePublicKey] = Field(description="Empty when bundles are not signed.")
