"""The sweeps themselves: called by the tasks, and directly by tests."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import redis
from celery import Celery

from services.maintenance import metrics
from services.maintenance.settings import MaintenanceSettings
from shared.contracts.tasks import QUEUE_INFERENCE, QUEUE_INFERENCE_BULK
from shared.core.logging import get_logger
from shared.db.engine import SessionFactory
from shared.db.invariants import check_invariants, queue_state, stuck_images
from shared.db.jobs import rescue
from shared.db.queue import idempotency, outbox
from shared.queue.broker import Broker
from shared.queue.relay import publish_due

log = get_logger(__name__)

_REQUEUE_AT_ONCE = 5000
# Queues of chunk messages, and whether they hold catalogs' photos.
_BULK_OF_QUEUE = {QUEUE_INFERENCE: False, QUEUE_INFERENCE_BULK: True}


@dataclass(frozen=True, slots=True)
class Sweeps:
    """Everything that runs on a timer, over one set of connections."""

    settings: MaintenanceSettings
    sessions: SessionFactory
    celery: Celery
    broker: Broker

    def sweep_outbox(self) -> int:
        """Publish every due message; returns how many.

        Raises QueueUnavailable when the broker does not take them; the next sweep tries again.
        """
        sent = 0
        while count := publish_due(self.sessions, self.celery):
            sent += count
        if sent:
            log.info("outbox.swept", messages=sent)
        return sent

    def rescue(self) -> None:
        """Requeue what a dead worker held and what a broker forgot."""
        self._rescue_leases()
        self._requeue_lost()

    def check(self) -> dict[str, int]:
        """Check the invariants, log violations, drop old rows and keys; returns the counts."""
        with self.sessions.begin() as session:
            violations = check_invariants(session)
            stuck = stuck_images(session, self.settings.maintenance_stuck_after_seconds)
            purged = outbox.purge_sent(session, self.settings.maintenance_outbox_kept_seconds)
            idempotency.purge(session)
        for reason, number in stuck.items():
            metrics.STUCK.labels(reason).set(number)
        for name, count in violations.items():
            metrics.VIOLATIONS.labels(name).set(count)
            if count:
                log.error("invariant.violated", name=name, rows=count)
        if purged:
            log.info("outbox.purged", messages=purged)
        return violations

    def measure(self) -> None:
        """Set the queue gauges."""
        with self.sessions() as session:
            unsent, age = outbox.backlog(session)
            state = queue_state(session)
        metrics.OUTBOX_UNSENT.set(unsent)
        metrics.OUTBOX_AGE.set(age)
        metrics.IMAGES.labels("queued").set(state.queued)
        metrics.IMAGES.labels("running").set(state.running)
        metrics.OLDEST.labels("direct").set(state.oldest)
        metrics.OLDEST.labels("bulk").set(state.oldest_bulk)

    def _rescue_leases(self) -> None:
        with self.sessions.begin() as session:
            done = rescue.rescue_expired(session, self.settings.maintenance_max_crashes)
        if done.requeued:
            metrics.RESCUED.labels("lease_expired").inc(len(done.requeued))
            log.warning("lease.rescued", images=len(done.requeued))
        if done.failed:
            metrics.EXHAUSTED.inc(len(done.failed))
            log.error("image.exhausted", image_ids=[str(image) for image in done.failed])
        if done.requeued:
            self.sweep_outbox()

    def _requeue_lost(self) -> None:
        try:
            forgot = self.broker.forgot_everything()
            depths = {queue: self.broker.depth(queue) for queue in _BULK_OF_QUEUE}
        except redis.RedisError as error:
            log.warning("broker.away", error=str(error))
            return
        for queue, depth in depths.items():
            metrics.BROKER_DEPTH.labels(queue).set(depth)
            patience = self._patience(forgot, depth)
            lost = self._requeue_older_than(patience, bulk=_BULK_OF_QUEUE[queue])
            if lost:
                metrics.RESCUED.labels("message_lost").inc(lost)
                log.warning("message.lost", queue=queue, images=lost, broker_forgot=forgot)

    def _patience(self, forgot: bool, depth: int) -> float:
        if forgot:
            return 0.0
        if depth == 0:
            return self.settings.maintenance_lost_after_seconds
        return self.settings.maintenance_lost_in_backlog_seconds

    def _requeue_older_than(self, seconds: float, *, bulk: bool) -> int:
        with self.sessions() as session:
            before = rescue.database_time(session) - timedelta(seconds=seconds)
        total = 0
        requeued: list[UUID] = []
        while not total or len(requeued) == _REQUEUE_AT_ONCE:
            with self.sessions.begin() as session:
                requeued = rescue.requeue_lost(session, before, _REQUEUE_AT_ONCE, bulk=bulk)
            if not requeued:
                break
            total += len(requeued)
            # Only an empty outbox tells what was lost from what was not sent yet.
            self.sweep_outbox()
        return total
