"""One chunk: lease its images, judge them, settle them in one transaction."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    StatementError,
)
from sqlalchemy.orm import Session

from services.worker.inference.pipeline import Outcome, Postponed
from services.worker.leases import LeaseKeeper
from services.worker.metrics import FAILURES, IMAGES, LEASES_LOST, PROBABILITY, REUSED
from shared.contracts.errors import ImageErrorCode
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
            outcomes: Sequence[Outcome] = [
                *standing,
                *(self._judge.run(unknown) if unknown else ()),
            ]
            settled, finished, outcomes = self._settle(lease, outcomes)
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

    def _settle(
        self, lease: Lease, outcomes: Sequence[Outcome]
    ) -> tuple[int, int, Sequence[Outcome]]:
        """Write the outcomes; returns (images settled or released, jobs finished, outcomes).

        In one transaction; should the database refuse a value in it, one by one, so that the photo
        which it came with fails alone (G4).
        """
        try:
            return *self._transact(lambda s: _store(s, lease, outcomes)), outcomes
        except (StatementError, ValueError) as error:
            _raise_unless_refused(error)
            log.warning("chunk.refused_together", images=len(outcomes), error=_cause(error))
        written = [self._settle_one(lease, outcome) for outcome in outcomes]
        settled, finished = (sum(counts) for counts in zip(*(w[:2] for w in written), strict=True))
        return settled, finished, [outcome for _, _, outcome in written]

    def _settle_one(self, lease: Lease, outcome: Outcome) -> tuple[int, int, Outcome]:
        try:
            return *self._transact(lambda s: _store(s, lease, [outcome])), outcome
        except (StatementError, ValueError) as error:
            _raise_unless_refused(error)
            log.error(  # noqa: TRY400  # one line is enough
                "chunk.refused", image_id=str(outcome.image_id), error=_cause(error)
            )
        code = ImageErrorCode.INFERENCE_FAILED
        failed = Failed(outcome.image_id, code, "the verdict could not be stored")
        return *self._transact(lambda s: _store(s, lease, [failed])), failed

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


def _raise_unless_refused(error: Exception) -> None:
    """Raise `error` again unless it says that a value is not taken.

    A text that UTF-8 cannot write is a ValueError of the driver's.
    """
    if isinstance(error, DBAPIError) and not isinstance(error, DataError | IntegrityError):
        raise error


def _cause(error: Exception) -> str:
    """Return the first line of an error: the rest is the statement with all its values."""
    return str(error).partition("\n")[0][:300]


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
