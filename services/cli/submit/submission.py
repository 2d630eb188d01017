"""Sending one batch of photos as a job and reading its outcome, photo by photo."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.cli.submit.photos import PhotoFile
from shared.client.errors import JobNotFinished, ProblemResponse, UploadInterrupted
from shared.client.http import DetectorClient
from shared.client.photo import Photo
from shared.contracts.wire.jobs import Job, JobImage, ListingVerdict

# Codes of failures that the gateway did not report itself.
UNREADABLE_FILE = "unreadable_file"
UPLOAD_INTERRUPTED = "upload_interrupted"
TIMED_OUT = "timed_out"
CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo: a verdict (`label` and the rest) or an error."""

    file: str
    label: str | None = None
    probability: float | None = None
    model_version: str | None = None
    basis: str | None = None
    pixels_probability: float | None = None
    error_code: str | None = None
    error_detail: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the object that `--json` prints; `error` has the form of the API's."""
        failed = self.error_code is not None
        error = {"code": self.error_code, "detail": self.error_detail} if failed else None
        return {
            "file": self.file,
            "label": self.label,
            "probability": self.probability,
            "model_version": self.model_version,
            "basis": self.basis,
            "pixels_probability": self.pixels_probability,
            "error": error,
        }


@dataclass(frozen=True, slots=True)
class Sent:
    """A job that was accepted, with the files of its images, in order."""

    job: Job
    files: list[str]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Outcomes in the order of the batch; `sent` has more than one job after a split."""

    outcomes: list[Outcome]
    sent: list[Sent]
    listing: ListingVerdict | None = None

    @staticmethod
    def joined(parts: "Sequence[BatchResult]") -> "BatchResult":
        """Return the parts as one result."""
        return BatchResult(
            [outcome for part in parts for outcome in part.outcomes],
            [sent for part in parts for sent in part.sent],
        )


class Submitter:
    """Sends batches; thread-safe. `unfinished` holds the jobs accepted but not yet answered."""

    def __init__(
        self,
        client: DetectorClient,
        *,
        listing_id: str | None,
        category: str | None,
        timeout_seconds: float,
        wait: bool,
    ) -> None:
        self._client = client
        self._listing_id = listing_id
        self._category = category
        self._timeout_seconds = timeout_seconds
        self._wait = wait
        self._lock = threading.Lock()
        self.unfinished: set[UUID] = set()

    def process(self, batch: list[PhotoFile]) -> BatchResult:
        """Send `batch` and, unless told not to, wait for its verdicts.

        Raises ClientError when no other batch would fare better (gateway away, key refused).
        """
        unreadable = {photo.file: why for photo in batch if (why := _open_error(photo))}
        result = self._send([photo for photo in batch if photo.file not in unreadable])
        known = {outcome.file: outcome for outcome in result.outcomes}
        for file, why in unreadable.items():
            known[file] = Outcome(file, error_code=UNREADABLE_FILE, error_detail=why)
        outcomes = [known[photo.file] for photo in batch if photo.file in known]
        return BatchResult(outcomes, result.sent, result.listing)

    def _send(self, batch: list[PhotoFile]) -> BatchResult:
        if not batch:
            return BatchResult([], [])
        try:
            job = self._client.jobs.submit(
                [Photo(photo.path.name, photo.path) for photo in batch],
                listing_id=self._listing_id,
                category=self._category,
            )
        except UploadInterrupted as error:
            return _all_failed(batch, UPLOAD_INTERRUPTED, str(error))
        except OSError as error:
            return self._send_apart(batch, UNREADABLE_FILE, str(error))
        except ProblemResponse as error:
            if not error.refuses_content:
                raise
            each = _refused_each(batch, error)
            return each or self._send_apart(batch, error.code, str(error))
        sent = Sent(job, [photo.file for photo in batch])
        return self._finish(sent) if self._wait else BatchResult([], [sent])

    def _send_apart(self, batch: list[PhotoFile], code: str, detail: str) -> BatchResult:
        """Send the halves of a batch that was refused as a whole, perhaps for one photo."""
        if len(batch) == 1:
            return _all_failed(batch, code, detail)
        middle = len(batch) // 2
        return BatchResult.joined([self._send(batch[:middle]), self._send(batch[middle:])])

    def _finish(self, sent: Sent) -> BatchResult:
        with self._lock:
            self.unfinished.add(sent.job.id)
        try:
            job = self._client.jobs.wait(sent.job.id, self._timeout_seconds)
        except JobNotFinished as error:
            outcomes = [
                _outcome(file, image, pending=str(error))
                for file, image in zip(sent.files, error.job.images, strict=True)
            ]
            return BatchResult(outcomes, [sent])
        with self._lock:
            self.unfinished.discard(job.id)
        outcomes = [
            _outcome(file, image) for file, image in zip(sent.files, job.images, strict=True)
        ]
        return BatchResult(outcomes, [sent], job.verdict)


def _outcome(file: str, image: JobImage, pending: str | None = None) -> Outcome:
    if image.verdict is not None:
        verdict = image.verdict
        return Outcome(
            file,
            verdict.label.value,
            verdict.probability,
            verdict.model_version,
            verdict.basis.value,
            verdict.pixels_probability,
        )
    if image.error is not None:
        return Outcome(file, error_code=image.error.code.value, error_detail=image.error.detail)
    if pending is not None:
        return Outcome(file, error_code=TIMED_OUT, error_detail=pending)
    detail = "The job was cancelled before this photo's turn. Send it again."
    return Outcome(file, error_code=CANCELLED, error_detail=detail)


def _refused_each(batch: list[PhotoFile], error: ProblemResponse) -> BatchResult | None:
    """Return the reasons that the gateway gave photo by photo; None unless for every one."""
    reasons = {entry.get("index"): entry for entry in error.problem.errors}
    if not all(reasons.get(index, {}).get("code") for index in range(len(batch))):
        return None
    outcomes = [
        Outcome(
            photo.file,
            error_code=str(reasons[index]["code"]),
            error_detail=str(reasons[index].get("detail") or error),
        )
        for index, photo in enumerate(batch)
    ]
    return BatchResult(outcomes, [])


def _all_failed(batch: list[PhotoFile], code: str, detail: str) -> BatchResult:
    return BatchResult(
        [Outcome(photo.file, error_code=code, error_detail=detail) for photo in batch], []
    )


def _open_error(photo: PhotoFile) -> str | None:
    try:
        with photo.path.open("rb"):
            return None
    except OSError as error:
        return f"The file cannot be read: {error.strerror or error}."
