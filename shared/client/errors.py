"""What can go wrong between a client and the gateway, each with what to do about it."""

from uuid import UUID

from shared.contracts.wire.catalogs import Catalog
from shared.contracts.wire.jobs import Job, Problem
from shared.core.errors import DetectorError


class ClientError(DetectorError):
    """Base of everything the client raises; the message is written for people."""


class ClientNotConfigured(ClientError):
    """No gateway URL or no API key was found, or the URL has the wrong form."""


class GatewayUnreachable(ClientError):
    """No connection came about, so nothing was sent."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"no gateway answers at {url} ({reason})."
            " Start one with `make up`, or set DETECTOR_URL to where it runs."
        )
        self.url = url


class UploadInterrupted(ClientError):
    """The connection broke after bytes were sent: the gateway may have accepted the job or not."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the connection broke during the request ({reason}); the gateway may or may not have"
            " accepted it. Send it again with the same idempotency key, or without one if a second"
            " one does no harm."
        )


class DownloadInterrupted(ClientError):
    """The connection broke after a part of the answer had come."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"the connection broke while {url} was read ({reason}). Read it again.")


class UnexpectedResponse(ClientError):
    """The answer is not what this API sends: a proxy, another service, or another version."""

    def __init__(self, url: str, status: int, reason: str) -> None:
        super().__init__(
            f"{url} answered {status}, but not as a detector gateway does ({reason})."
            " Check DETECTOR_URL, and that client and gateway have the same version."
        )
        self.status = status


_HINTS = {
    401: ". Set DETECTOR_API_KEY to a key that `detector keys create` made,"
    " or run `make up` again, which renews the local one.",
    403: ". Use a key with this scope (`detector keys create --scope …`).",
}


class ProblemResponse(ClientError):
    """The gateway refused the request and said why (RFC 9457 problem details)."""

    def __init__(self, problem: Problem, retry_after_seconds: float | None = None) -> None:
        super().__init__((problem.detail or problem.title) + _HINTS.get(problem.status, ""))
        self.problem = problem
        self.status = problem.status
        self.retry_after_seconds = retry_after_seconds

    @property
    def code(self) -> str:
        """The problem type as an error code, such as `too_large`; `refused` without one."""
        segment = self.problem.type.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1]
        return segment.replace("-", "_") if segment and segment != "blank" else "refused"

    @property
    def refuses_key(self) -> bool:
        """Whether the API key is unknown, revoked or lacks the scope."""
        return self.status in {401, 403}

    @property
    def refuses_content(self) -> bool:
        """Whether this very content is refused: other photos, or fewer, may still be accepted."""
        return self.status in {400, 408, 413, 415, 422}


class KeyRefused(ProblemResponse):
    """401 or 403: the API key is unknown, was revoked, has expired or lacks the scope."""


class NotFound(ProblemResponse):
    """404: the tenant has no such thing."""


class Conflict(ProblemResponse):
    """409: the thing is not in the state that the request needs; `code` says what is wrong."""


class LimitReached(ProblemResponse):
    """429: too many requests or too many photos waiting, also after repetition."""


class Unavailable(ProblemResponse):
    """503 or 504: a server behind the gateway did not answer in time."""


_BY_STATUS: dict[int, type[ProblemResponse]] = {
    401: KeyRefused,
    403: KeyRefused,
    404: NotFound,
    409: Conflict,
    429: LimitReached,
    503: Unavailable,
    504: Unavailable,
}


def problem_error(problem: Problem, retry_after_seconds: float | None = None) -> ProblemResponse:
    """Return `problem` as the error class of its status."""
    return _BY_STATUS.get(problem.status, ProblemResponse)(problem, retry_after_seconds)


class JobNotFinished(ClientError):
    """The job was not terminal within the time given; it goes on and can be asked for later."""

    def __init__(self, job: Job, seconds: float) -> None:
        super().__init__(
            f"job {job.id} is still {job.status} after {seconds:.0f} s; ask again with"
            f" `detector jobs get {job.id} --wait 30`."
        )
        self.job = job
        self.job_id: UUID = job.id


class CatalogNotFinished(ClientError):
    """The catalog was not terminal within the time given; it goes on."""

    def __init__(self, catalog: Catalog, seconds: float) -> None:
        super().__init__(f"catalog {catalog.id} is still {catalog.status} after {seconds:.0f} s.")
        self.catalog = catalog


class HeatmapNotFinished(ClientError):
    """The heatmap was not there within the time given; it is still being made."""

    def __init__(self, image_id: UUID, seconds: float) -> None:
        super().__init__(
            f"the heatmap of image {image_id} was not made within {seconds:.0f} s. Ask again."
        )
