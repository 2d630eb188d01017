"""One chunk: lease its images, judge them, settle them in one transaction."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.worker.inference.pipeline import Outcome, Postponed
from services.worker.leases import LeaseKeeper
from services.worker.metrics import FAILURES, IMAGES, LEASES_LOST, PROBABILITY, REUSED
from shared.contracts.tasks import MAX_CHUNK
from shared.core.logging import get_logger
from shared.db.engine import SessionFactory
from shared.db.jobs import leases
from shared.db.jobs.leases import Lease, LeasedImage
from shared.db.jobs.results import Failed, Judged, settle
from shared.db.jobs.reuse import ReuseKey, find_standing
from shared.db.queue.outbox import add_chunks

log = get_logger(__name__)
T = TypeVar("T")

# Seconds between tries while the database restarts; after the last the lease runs out instead.
_DATABASE_BACKOFF = (0.2, 0.5, 1.0, 2.0, 4.0)
# A postponed image is tried again after 2, 4, 8 … seconds, at most this many.
_MAX_DELAY_SECONDS = 60.0


class Judge(Protocol):
    """The `ModelServer`, which holds the current model."""

    @property
    def reuse_key(self) -> ReuseKey:
        """What the next verdicts will rest on."""

    def run(self, images: Sequence[LeasedImage]) -> Iterator[Outcome]:
        """Yield one outcome for each image, in order."""


@dataclass(frozen=True, slots=True)
class ChunkReport:
    """What became of one delivery of a chunk."""

    asked: int
    leased: int
    # Of those, answered by a verdict that stood already.
    reused: int
    outcomes: Counter[str]
    jobs_finished: int
    request_ids: list[str]
    job_ids: list[UUID]


class ChunkProcessor:
    """The worker's use case, called by the Celery task and by tests alike."""

    def __init__(
        self,
        sessions: SessionFactory,
        judge: Judge,
        keeper: LeaseKeeper,
        lease_seconds: float,
        *,
        reuse: bool = True,
    ) -> None:
        """With `reuse`, bytes that were judged with the same key are not judged again."""
        self._reuse = reuse
        self._sessions = sessions
        self._judge = judge
        self._keeper = keeper
        self._lease_seconds = lease_seconds

    def process(self, image_ids: Sequence[UUID]) -> ChunkReport:
        """Judge those of `image_ids` that nobody else holds; safe to call again and again.

        Raises sqlalchemy's OperationalError when the database stays away; the images are then
        rescued after their lease.
        """
        lease, standing = self._transact(lambda s: self._lease(s, image_ids))
        if not lease.images:
            return ChunkReport(len(image_ids), 0, 0, Counter(), 0, [], [])
        with self._keeper.keep(lease.id, [image.id for image in lease.images]):
            known = {judged.image_id for judged in standing}
            unknown = [image for image in lease.images if image.id not in known]
            outcomes = [*standing, *(self._judge.run(unknown) if unknown else ())]
            settled, finished = self._transact(lambda s: _store(s, lease, outcomes))
        lost = len(outcomes) - settled
        if lost:
            LEASES_LOST.inc(lost)
        REUSED.inc(len(standing))
        return ChunkReport(
            asked=len(image_ids),
            leased=len(lease.images),
            reused=len(standing),
            outcomes=_count(outcomes),
            jobs_finished=finished,
            request_ids=sorted({image.request_id for image in lease.images}),
            job_ids=sorted({image.job_id for image in lease.images}),
        )

    def _lease(self, session: Session, image_ids: Sequence[UUID]) -> tuple[Lease, list[Judged]]:
        lease = leases.acquire(session, image_ids, self._lease_seconds)
        if not lease.images or not self._reuse:
            return lease, []
        leased = [image.id for image in lease.images]
        return lease, find_standing(session, leased, self._judge.reuse_key)

    def _transact(self, work: Callable[[Session], T]) -> T:
        for pause in _DATABASE_BACKOFF:
            try:
                with self._sessions.begin() as session:
                    return work(session)
            except OperationalError as error:
                log.warning("database.retry", pause=pause, error=str(error.orig))
                time.sleep(pause)
        with self._sessions.begin() as session:
            return work(session)


def _store(session: Session, lease: Lease, outcomes: Sequence[Outcome]) -> tuple[int, int]:
    """Write everything; returns (images settled or released, jobs finished)."""
    final = [o for o in outcomes if isinstance(o, Judged | Failed)]
    settled, finished = settle(session, lease.id, final)
    bulk = {image.id: image.bulk for image in lease.images}
    later: defaultdict[tuple[float, bool], list[UUID]] = defaultdict(list)
    for outcome in outcomes:
        if isinstance(outcome, Postponed):
            delay = min(_MAX_DELAY_SECONDS, 2.0 ** min(outcome.attempts, 10))
            later[delay, bulk[outcome.image_id]].append(outcome.image_id)
    released = 0
    for (delay, is_bulk), ids in later.items():
        held = leases.release(session, lease.id, ids, delay)
        add_chunks(session, held, MAX_CHUNK, delay, bulk=is_bulk)
        released += len(held)
    return len(settled) + released, len(finished)


def _count(outcomes: Sequence[Outcome]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        match outcome:
            case Judged():
                counts[outcome.label.value] += 1
                PROBABILITY.labels(outcome.model_version).observe(outcome.probability)
            case Failed():
                counts["failed"] += 1
                FAILURES.labels(outcome.code.value).inc()
            case Postponed():
                counts["postponed"] += 1
    for name, count in counts.items():
        IMAGES.labels(name).inc(count)
    return counts
