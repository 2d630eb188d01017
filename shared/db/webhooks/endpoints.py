"""Webhook endpoints and their signing secrets, always within one tenant.

Locks are taken in the order endpoint, delivery, everywhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from shared.contracts.events import EndpointStatus, EventType
from shared.core.ids import new_id
from shared.db.models import Tenant, WebhookEndpoint, WebhookSecret
from shared.db.webhooks.events import ENSURE_DEFAULT, emit


@dataclass(frozen=True, slots=True)
class EndpointChanges:
    """What a caller changes; None leaves a field as it is."""

    url: str | None = None
    events: Sequence[str] | None = None
    description: str | None = None
    status: EndpointStatus | None = None


def create_endpoint(
    session: Session,
    tenant_id: UUID,
    url: str,
    events: Sequence[str],
    description: str,
    ciphertext: bytes,
) -> WebhookEndpoint:
    """Register `url` with its first secret."""
    endpoint = WebhookEndpoint(
        tenant_id=tenant_id, url=url, events=list(events), description=description
    )
    session.add(endpoint)
    session.flush()
    session.add(WebhookSecret(endpoint_id=endpoint.id, ciphertext=ciphertext))
    session.flush()
    return endpoint


def count_endpoints(session: Session, tenant_id: UUID) -> int:
    """Return how many endpoints the tenant registered, and hold off others that register one."""
    session.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update(key_share=True))
    counted = session.execute(
        select(func.count())
        .select_from(WebhookEndpoint)
        .where(WebhookEndpoint.tenant_id == tenant_id, ~WebhookEndpoint.is_default)
    )
    return counted.scalar_one()


def list_endpoints(session: Session, tenant_id: UUID) -> list[WebhookEndpoint]:
    """Return the registered endpoints, oldest first."""
    rows = session.execute(
        select(WebhookEndpoint)
        .where(WebhookEndpoint.tenant_id == tenant_id, ~WebhookEndpoint.is_default)
        .order_by(WebhookEndpoint.created_at, WebhookEndpoint.id)
    )
    return list(rows.scalars())


def get_endpoint(
    session: Session, tenant_id: UUID, endpoint_id: UUID, *, lock: bool = False
) -> WebhookEndpoint | None:
    """Return the tenant's endpoint, its default one included; None when there is none."""
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.id == endpoint_id, WebhookEndpoint.tenant_id == tenant_id
    )
    if lock:
        query = query.with_for_update(key_share=True)
    return session.execute(query).scalar_one_or_none()


def default_endpoint(session: Session, tenant_id: UUID) -> WebhookEndpoint:
    """Return the endpoint that signs calls of `webhook_url`; made when missing."""
    session.execute(ENSURE_DEFAULT, {"ids": [new_id()], "tenants": [tenant_id]})
    return session.execute(
        select(WebhookEndpoint).where(
            WebhookEndpoint.tenant_id == tenant_id, WebhookEndpoint.is_default
        )
    ).scalar_one()


def update_endpoint(session: Session, endpoint: WebhookEndpoint, changes: EndpointChanges) -> None:
    """Apply `changes` to a row that the caller has locked."""
    if changes.url is not None:
        endpoint.url = changes.url
    if changes.events is not None:
        endpoint.events = list(changes.events)
    if changes.description is not None:
        endpoint.description = changes.description
    session.flush()
    if changes.status is EndpointStatus.DISABLED:
        disable_endpoint(session, endpoint.id, "disabled through the API", tell=False)
    elif changes.status is EndpointStatus.ENABLED:
        endpoint.status = EndpointStatus.ENABLED.value
        endpoint.disabled_at = endpoint.disabled_reason = endpoint.failing_since = None
        session.flush()
    session.refresh(endpoint)


def delete_endpoint(session: Session, tenant_id: UUID, endpoint_id: UUID) -> bool:
    """Delete a registered endpoint with its deliveries; False when there is none."""
    deleted = session.execute(
        delete(WebhookEndpoint)
        .where(
            WebhookEndpoint.id == endpoint_id,
            WebhookEndpoint.tenant_id == tenant_id,
            ~WebhookEndpoint.is_default,
        )
        .returning(WebhookEndpoint.id)
    )
    return deleted.one_or_none() is not None


# Their events stay: recovery makes deliveries of them again.
_END_PENDING = text("""
UPDATE webhook_deliveries SET status = 'failed', next_attempt_at = NULL,
    finished_at = clock_timestamp()
WHERE endpoint_id = :id AND status = 'pending'
""")


def disable_endpoint(
    session: Session, endpoint_id: UUID, reason: str, *, tell: bool = True
) -> bool:
    """Send nothing more there; False when it was disabled before, or is gone.

    Pending deliveries become failed. With `tell` the tenant's other endpoints hear of it.
    """
    tenant_id = session.execute(
        update(WebhookEndpoint)
        .where(
            WebhookEndpoint.id == endpoint_id,
            WebhookEndpoint.status == EndpointStatus.ENABLED.value,
        )
        .values(
            status=EndpointStatus.DISABLED.value,
            disabled_at=func.clock_timestamp(),
            disabled_reason=reason,
        )
        .returning(WebhookEndpoint.tenant_id)
    ).scalar_one_or_none()
    if tenant_id is None:
        return False
    session.execute(_END_PENDING, {"id": endpoint_id})
    if tell:
        subject = {"webhook_id": str(endpoint_id), "reason": reason}
        emit(session, tenant_id, EventType.ENDPOINT_DISABLED, subject)
    return True


def valid_secrets(session: Session, endpoint_id: UUID) -> list[WebhookSecret]:
    """Return the secrets that sign now, the current one first."""
    rows = session.execute(
        select(WebhookSecret)
        .where(
            WebhookSecret.endpoint_id == endpoint_id,
            WebhookSecret.expires_at.is_(None)
            | (WebhookSecret.expires_at > func.clock_timestamp()),
        )
        .order_by(WebhookSecret.expires_at.desc().nulls_first(), WebhookSecret.created_at.desc())
    )
    return list(rows.scalars())


def ensure_secret(
    session: Session, endpoint_id: UUID, make: Callable[[], bytes]
) -> list[WebhookSecret]:
    """As `valid_secrets`; a default endpoint gets its first one, encrypted by `make`."""
    found = valid_secrets(session, endpoint_id)
    if found:
        return found
    # Two that look at once make one secret.
    session.execute(
        select(WebhookEndpoint.id)
        .where(WebhookEndpoint.id == endpoint_id)
        .with_for_update(key_share=True)
    )
    found = valid_secrets(session, endpoint_id)
    if not found:
        session.add(WebhookSecret(endpoint_id=endpoint_id, ciphertext=make()))
        session.flush()
        found = valid_secrets(session, endpoint_id)
    return found


def rotate_secret(
    session: Session, endpoint_id: UUID, ciphertext: bytes, grace_seconds: float
) -> list[WebhookSecret]:
    """Make `ciphertext` the current secret; the one before signs too for `grace_seconds`.

    Of an endpoint that the caller has locked. Older ones end with their own grace.
    """
    session.execute(
        update(WebhookSecret)
        .where(WebhookSecret.endpoint_id == endpoint_id, WebhookSecret.expires_at.is_(None))
        .values(expires_at=func.clock_timestamp() + timedelta(seconds=grace_seconds))
    )
    session.add(WebhookSecret(endpoint_id=endpoint_id, ciphertext=ciphertext))
    session.flush()
    return valid_secrets(session, endpoint_id)
