"""One attempt: make the body, sign it, send it, note what came of it."""

import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.webhooks import metrics
from services.webhooks.schedule import GONE, Schedule, retry_after_seconds
from services.webhooks.signing import signed_headers
from shared.core.logging import get_logger
from shared.db.engine import SessionFactory
from shared.db.webhooks.deliveries import AttemptRecord, Claimed, record_failure, record_success
from shared.db.webhooks.delivery_log import lock_event
from shared.db.webhooks.endpoints import disable_endpoint, ensure_secret
from shared.keys.signing_secrets import SecretBox, SecretUnreadable, new_secret
from shared.net import FetchError, GuardedClient
from shared.present.events import ensure_data, event_body

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Message:
    """What is sent: the exact bytes, and the secrets that sign them."""

    body: bytes
    secrets: list[str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class _Result:
    """What came of one request."""

    record: AttemptRecord
    retry_after: float | None = None

    @property
    def received(self) -> bool:
        return self.record.error is None


@dataclass(frozen=True, slots=True)
class Attempter:
    """Attempts deliveries; thread-safe. Times are in seconds, sizes in bytes."""

    sessions: SessionFactory
    client: GuardedClient
    box: SecretBox
    schedule: Schedule
    timeout: float
    response_bytes: int
    chance: random.Random = field(default_factory=random.Random)

    def attempt(self, claimed: Claimed) -> None:
        """Send `claimed` once and settle it. Database errors pass; its lease then runs out."""
        try:
            message = self._prepare(claimed)
        except SecretUnreadable as error:
            log.error("webhook.secret_unreadable", webhook_id=str(claimed.endpoint_id))  # noqa: TRY400
            self._settle(claimed, _Result(AttemptRecord(None, 0.0, None, str(error))))
            return
        if message is None:
            return  # event or endpoint was deleted meanwhile
        result = self._send(claimed, message)
        metrics.ATTEMPT_SECONDS.observe(result.record.latency_ms / 1000)
        if claimed.attempts == 0:
            age = datetime.now(UTC) - message.created_at
            metrics.DELAY_SECONDS.observe(max(0.0, age.total_seconds()))
        self._settle(claimed, result)

    def _prepare(self, claimed: Claimed) -> _Message | None:
        with self.sessions.begin() as session:
            event = lock_event(session, claimed.event_id)
            if event is None:
                return None
            ensure_data(session, event)
            rows = ensure_secret(session, claimed.endpoint_id, lambda: self.box.seal(new_secret()))
            secrets = self.box.open_readable([row.ciphertext for row in rows])
            return _Message(event_body(event), secrets, event.created_at)

    def _send(self, claimed: Claimed, message: _Message) -> _Result:
        headers = {
            "content-type": "application/json",
            **signed_headers(
                str(claimed.event_id), int(time.time()), message.body, message.secrets
            ),
        }
        started = time.perf_counter()
        try:
            reply = self.client.post(claimed.url, message.body, headers, self.timeout)
        except FetchError as error:
            latency_ms = (time.perf_counter() - started) * 1000
            return _Result(AttemptRecord(None, latency_ms, None, f"{error.code}: {error.detail}"))
        text = reply.body_start[: self.response_bytes].decode("utf-8", "replace")
        record = AttemptRecord(
            reply.status,
            reply.latency_s * 1000,
            text.replace("\0", "�"),  # PostgreSQL stores no NUL
            _refusal(reply.status),
        )
        return _Result(record, retry_after_seconds(reply.headers, datetime.now(UTC)))

    def _settle(self, claimed: Claimed, result: _Result) -> None:
        attempts = claimed.attempts + 1
        if result.received:
            with self.sessions.begin() as session:
                record_success(session, claimed, result.record)
            self._note(claimed, result, "succeeded", None)
            return
        gone = result.record.status_code == GONE
        delay = None if gone else self.schedule.delay(attempts, result.retry_after, self.chance)
        with self.sessions.begin() as session:
            failing = record_failure(session, claimed, result.record, delay)
            reason = self._reason_to_disable(claimed, gone, failing)
            disabled = reason and disable_endpoint(session, claimed.endpoint_id, reason)
        if disabled:
            metrics.DISABLED.labels("gone" if gone else "failing").inc()
            log.warning("webhook.disabled", webhook_id=str(claimed.endpoint_id), reason=reason)
        self._note(claimed, result, "failed" if delay is None else "retried", delay)

    def _reason_to_disable(self, claimed: Claimed, gone: bool, failing: float) -> str | None:
        if claimed.is_default:  # its URLs are of single jobs
            return None
        if gone:
            return "the receiver answered 410 Gone"
        if self.schedule.is_hopeless(failing):
            return "every delivery failed for too long"
        return None

    def _note(self, claimed: Claimed, result: _Result, outcome: str, delay: float | None) -> None:
        metrics.ATTEMPTS.labels(outcome).inc()
        log.info(
            "webhook.attempted",
            outcome=outcome,
            event_id=str(claimed.event_id),
            delivery_id=str(claimed.id),
            attempt=claimed.attempts + 1,
            status=result.record.status_code,
            error=result.record.error,
            latency_ms=round(result.record.latency_ms, 1),
            next_in_s=None if delay is None else round(delay, 1),
        )


def _refusal(status: int) -> str | None:
    """Return why an answer does not count as received; None for 2xx."""
    if 200 <= status <= 299:
        return None
    if 300 <= status <= 399:
        return f"redirect: status {status}; redirects are not followed"
    return f"refused: status {status}"
