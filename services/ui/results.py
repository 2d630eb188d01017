"""What the page remembers between reruns, and how it is got from the gateway."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from services.ui.cards import Card
from services.ui.thumbnails import data_uri
from shared.client.config import ClientConfig
from shared.client.errors import ClientError, ProblemResponse
from shared.client.http import DetectorClient
from shared.client.photo import Photo
from shared.client.retry import RetryPolicy
from shared.contracts.states import TERMINAL_IMAGE, TERMINAL_JOB
from shared.contracts.wire.jobs import Job, JobImage

# Seconds of one long poll; short, so that the progress bar moves.
_POLL_SECONDS = 2.0
# Seconds after which the page stops waiting and offers to look again.
PATIENCE_SECONDS = 120.0
# People watch: after this long the page says what is wrong instead of trying on.
_RETRY = RetryPolicy(busy=15.0, unreachable=2.0)


@dataclass(frozen=True, slots=True)
class Upload:
    """One photo as chosen on the page."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Result:
    """A job, or why there is none, with the previews of its photos in order."""

    cards: list[Card]
    job: Job | None = None
    previews: list[str | None] = field(default_factory=list, repr=False)

    @property
    def finished(self) -> bool:
        """Whether nothing more will change."""
        return self.job is None or self.job.status in TERMINAL_JOB


@contextmanager
def connected(config: ClientConfig) -> Iterator[DetectorClient]:
    """Open a client for one action of the page."""
    with DetectorClient(config, timeout_seconds=5.0, retry=_RETRY) as client:
        yield client


def check(
    client: DetectorClient,
    uploads: Sequence[Upload],
    listing_id: str | None,
    category: str | None,
    progress: Callable[[int], None],
) -> Result:
    """Send the photos as one job and wait for it; `progress` gets the photos done so far.

    When every photo is refused, the result has no job, but the reason of each. When the gateway
    goes away after it accepted, the result is the unfinished job. Raises ClientError otherwise.
    """
    previews = [data_uri(upload.content) for upload in uploads]
    try:
        job = client.jobs.submit(
            [Photo(upload.name, upload.content) for upload in uploads],
            listing_id=listing_id,
            category=category,
        )
    except ProblemResponse as error:
        cards = _refused(uploads, previews, error)
        if cards is None:
            raise
        return Result(cards)
    return _result(_waited(client, job, progress), previews)


def read(client: DetectorClient, job_id: UUID, previews: Sequence[str | None] = ()) -> Result:
    """Read a job as it stands. Raises ClientError."""
    return _result(client.jobs.get(job_id), list(previews))


def _waited(client: DetectorClient, job: Job, progress: Callable[[int], None]) -> Job:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while job.status not in TERMINAL_JOB and time.monotonic() < deadline:
        progress(sum(image.status in TERMINAL_IMAGE for image in job.images))
        started = time.monotonic()
        try:
            job = client.jobs.get(job.id, wait_seconds=_POLL_SECONDS)
        except ClientError:
            # The job was accepted: whoever asks again later finds it.
            return job
        # Never in a tight loop, whatever the gateway makes of `wait`.
        if job.status not in TERMINAL_JOB:
            time.sleep(max(0.0, 0.2 - (time.monotonic() - started)))
    return job


def _result(job: Job, previews: list[str | None]) -> Result:
    if len(previews) != len(job.images):
        previews = [None] * len(job.images)
    cards = [_card(image, view) for image, view in zip(job.images, previews, strict=True)]
    return Result(cards, job, previews)


def _card(image: JobImage, preview: str | None) -> Card:
    error = image.error
    return Card(
        name=image.filename,
        preview=preview,
        verdict=image.verdict,
        error_detail=error.detail if error else _cancelled(image),
        error_code=error.code.value if error else None,
        image_id=image.id,
        review=image.review,
    )


def _cancelled(image: JobImage) -> str | None:
    return (
        "The job was cancelled before this photo's turn." if image.status == "cancelled" else None
    )


def _refused(
    uploads: Sequence[Upload], previews: Sequence[str | None], error: ProblemResponse
) -> list[Card] | None:
    """Return the reasons that the gateway gave photo by photo, None when it gave none."""
    reasons = {entry.get("index"): entry for entry in error.problem.errors if entry.get("code")}
    if not all(index in reasons for index in range(len(uploads))):
        return None
    return [
        Card(
            name=upload.name,
            preview=preview,
            error_detail=str(reasons[index].get("detail") or error),
            error_code=str(reasons[index]["code"]),
        )
        for index, (upload, preview) in enumerate(zip(uploads, previews, strict=True))
    ]
