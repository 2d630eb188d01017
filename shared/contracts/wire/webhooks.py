"""JSON bodies of the webhooks API. The headers of deliveries: Standard Webhooks 1.0."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.contracts.events import DeliveryStatus, EndpointStatus, EventType
from shared.contracts.wire.job_requests import PageLinks
from shared.contracts.wire.jobs import Wire

MAX_GRACE_SECONDS = 7 * 24 * 3600
DEFAULT_GRACE_SECONDS = 24 * 3600

_Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        description="http(s) URL of the receiver. It must lead to a public address unless"
        " `DETECTOR_WEBHOOK_ALLOWED_HOSTS` names its host; redirects are not followed.",
    ),
]
# What a text column of PostgreSQL and a log line can hold.
_Description = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Events = Annotated[
    list[EventType], Field(max_length=16, description="Event types to send; empty for all.")
]


class _Request(BaseModel):
    """Unknown members are refused: a misspelt one would change nothing, silently."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NewWebhook(_Request):
    """`POST /webhooks`."""

    url: _Url
    events: _Events = Field(default_factory=list)
    description: _Description = ""


class WebhookChanges(_Request):
    """`PATCH /webhooks/{id}`: what is left out stays as it is."""

    url: _Url | None = None
    events: _Events | None = None
    description: _Description | None = None
    status: EndpointStatus | None = Field(
        default=None,
        description="`disabled` ends all pending deliveries as failed; `recover` sends them later.",
    )


class Webhook(Wire):
    """A registered endpoint, or the tenant's `default` one, which signs calls of `webhook_url`."""

    id: UUID
    url: str | None = Field(default=None, description="Null only for the default endpoint.")
    is_default: bool
    description: str
    events: list[EventType] = Field(description="Event types that it gets; empty for all.")
    status: EndpointStatus
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    failing_since: datetime | None = Field(
        default=None, description="First failure since the last success."
    )
    created_at: datetime


class CreatedWebhook(Webhook):
    """The answer to `POST /webhooks`."""

    secret: str = Field(description="Signs every delivery; `GET /webhooks/{id}/secret` repeats it.")


class WebhookList(Wire):
    """`GET /webhooks`, oldest first."""

    data: list[Webhook]


class PreviousSecret(Wire):
    """A rotated secret that still signs, beside the current one."""

    secret: str
    expires_at: datetime


class WebhookSecrets(Wire):
    """`GET /webhooks/{id}/secret` and the answer to a rotation."""

    secret: str
    previous: list[PreviousSecret] = Field(default_factory=list)


class Rotation(_Request):
    """`POST /webhooks/{id}/rotate`."""

    grace_seconds: int = Field(
        default=DEFAULT_GRACE_SECONDS,
        ge=0,
        le=MAX_GRACE_SECONDS,
        description="How long deliveries are signed with the old secret too.",
    )


class Recovery(_Request):
    """`POST /webhooks/{id}/recover`: the window, by the time of the events."""

    since: AwareDatetime
    until: AwareDatetime | None = Field(default=None, description="Now when left out.")


class Recovered(Wire):
    """How many events are on their way again."""

    deliveries: int


class Attempt(Wire):
    """One request of a delivery."""

    attempted_at: datetime
    status_code: int | None = Field(default=None, description="Null when no response came.")
    latency_ms: float
    response_body: str | None = Field(default=None, description="The start of it.")
    error: str | None = Field(default=None, description="Why it does not count as received.")


class Delivery(Wire):
    """One event on its way to one endpoint."""

    id: UUID
    event_id: UUID = Field(description="The header `webhook-id`, the same in every attempt.")
    event_type: EventType
    url: str | None = None
    status: DeliveryStatus
    attempts: int = Field(description="Attempts of the present schedule; a replay begins anew.")
    next_attempt_at: datetime | None = None
    created_at: datetime
    finished_at: datetime | None = None
    last_attempt: Attempt | None = None


class DeliveryDetail(Delivery):
    """`GET /webhooks/{id}/deliveries/{delivery_id}`: with every attempt, the oldest first."""

    log: list[Attempt]
    payload: dict[str, Any] | None = Field(
        default=None, description="The body that is sent; null before the first attempt."
    )


class DeliveryPage(Wire):
    """`GET /webhooks/{id}/deliveries`, newest first."""

    data: list[Delivery]
    next_cursor: str | None = Field(default=None, description="Null on the last page.")
    links: PageLinks
