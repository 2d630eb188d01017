"""JSON bodies of `/keys`."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.contracts.scopes import DEFAULT_SCOPES, Scope
from shared.contracts.wire.jobs import Wire

DEFAULT_GRACE_SECONDS = 24 * 3600
MAX_GRACE_SECONDS = 30 * 24 * 3600


class ApiKeyStatus(StrEnum):
    """Only an active key is accepted."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class _Request(BaseModel):
    """Unknown members are refused: a misspelt one would change nothing, silently."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NewApiKey(_Request):
    """`POST /keys`."""

    name: str = Field(
        min_length=1, max_length=200, pattern=r"\S", description="What the key is for."
    )
    scopes: list[Scope] = Field(
        default=list(DEFAULT_SCOPES),
        min_length=1,
        max_length=len(Scope),
        description="What it may do; `admin` includes every other.",
    )
    expires_at: AwareDatetime | None = Field(
        default=None, description="Refused from then on; null for a key without an end."
    )


class ApiKeyRotation(_Request):
    """`POST /keys/{id}/rotate`."""

    grace_seconds: int = Field(
        default=DEFAULT_GRACE_SECONDS,
        ge=0,
        le=MAX_GRACE_SECONDS,
        description="How long the old key is still accepted.",
    )


class ApiKey(Wire):
    """A key as it can be shown: without the key itself."""

    id: UUID
    name: str
    prefix: str = Field(description="First characters of the key, to tell keys apart.")
    scopes: list[Scope]
    status: ApiKeyStatus
    created_at: datetime
    last_used_at: datetime | None = Field(
        default=None, description="Within a minute; null when never used."
    )
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class CreatedApiKey(ApiKey):
    """A new key. It is shown this once: only its hash is stored."""

    key: str


class RotatedApiKey(CreatedApiKey):
    """The successor, and the key that it replaces with the end of its grace period."""

    replaces: ApiKey


class ApiKeyList(Wire):
    """Answer of `GET /keys`."""

    data: list[ApiKey]
