"""Every problem that the gateway can answer with (RFC 9457), in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.contracts.errors import IMAGE_ERROR_HELP, ImageErrorCode
from shared.core.errors import DetectorError


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """One problem type: what `/problems/<slug>` says about it."""

    slug: str
    status: int
    title: str
    # What the caller can do.
    help: str

    @property
    def type(self) -> str:
        """The `type` member, a reference relative to the gateway's root."""
        return f"/problems/{self.slug}"


PROBLEMS: dict[str, ProblemKind] = {}


def _kind(slug: str, status: int, title: str, help_: str) -> ProblemKind:
    kind = PROBLEMS[slug] = ProblemKind(slug, status, title, help_)
    return kind


def _image_kind(code: ImageErrorCode, status: int, title: str) -> ProblemKind:
    return _kind(code.value.replace("_", "-"), status, title, IMAGE_ERROR_HELP[code])


MALFORMED_REQUEST = _kind(
    "malformed-request",
    400,
    "The request body cannot be parsed",
    "Send a well-formed multipart/form-data body; most HTTP libraries and `curl -F` build it.",
)
UNAUTHENTICATED = _kind(
    "unauthenticated",
    401,
    "A valid API key is required",
    "Send the key as `Authorization: Bearer KEY` or `X-API-Key: KEY`. Make one with"
    " `detector keys create`.",
)
MISSING_SCOPE = _kind(
    "missing-scope",
    403,
    "The API key does not carry the needed scope",
    "Use a key with the scope that `detail` names, or create one with it.",
)
NOT_FOUND = _kind(
    "not-found",
    404,
    "There is no such resource",
    "Check the path and the id. A job of another tenant is answered like one that does not exist.",
)
METHOD_NOT_ALLOWED = _kind(
    "method-not-allowed",
    405,
    "The resource does not support this method",
    "The `Allow` header names the methods that it supports.",
)
UPLOAD_TIMEOUT = _kind(
    "upload-timeout",
    408,
    "The body did not arrive in time",
    "Send it again over a steadier connection, or in smaller requests.",
)
TOO_LARGE = _image_kind(ImageErrorCode.TOO_LARGE, 413, "A file or the request has too many bytes")
TOO_MANY_PIXELS = _image_kind(
    ImageErrorCode.TOO_MANY_PIXELS, 413, "The image has more pixels than allowed"
)
TOO_MANY_IMAGES = _kind(
    "too-many-images",
    413,
    "The request has more files than allowed",
    "Spread the photos over several requests; `detail` names the limit.",
)
UNSUPPORTED_MEDIA_TYPE = _kind(
    "unsupported-media-type",
    415,
    "The request body has a type that is not supported",
    "Send multipart/form-data with the photos as files; `POST /jobs` also takes JSON with URLs.",
)
UNSUPPORTED_TYPE = _image_kind(
    ImageErrorCode.UNSUPPORTED_TYPE, 415, "The file is not a supported image"
)
IDEMPOTENCY_KEY_REUSED = _kind(
    "idempotency-key-reused",
    409,
    "The idempotency key came with another request",
    "Take a new `Idempotency-Key` for every request that is not a repetition. Keys are free again"
    " after 24 hours.",
)
IMAGE_UNFINISHED = _kind(
    "image-unfinished",
    409,
    "The photo has not been judged yet",
    "Wait until its job has finished, then send the request again.",
)
EVIDENCE_GONE = _kind(
    "evidence-gone",
    410,
    "The photo's bytes are gone",
    "The object store no longer has them, so there is nothing to bundle. The verdict itself is at"
    " `/images/{id}`.",
)
NO_HEATMAP = _kind(
    "no-heatmap",
    409,
    "There is no heatmap of this photo",
    "`detail` says why: the photo has no verdict, its bytes are gone, or the workers serve another"
    " model than the one that judged it.",
)
TOO_MANY_WEBHOOKS = _kind(
    "too-many-webhooks",
    409,
    "The tenant has as many webhooks as allowed",
    "Delete one that is not needed, or let one receiver take several event types.",
)
WEBHOOK_DISABLED = _kind(
    "webhook-disabled",
    409,
    "The webhook is disabled",
    'Enable it with `PATCH /webhooks/{id}` and `{"status": "enabled"}`, then try again.',
)
KEY_NOT_ACTIVE = _kind(
    "key-not-active",
    409,
    "The API key was revoked or has expired",
    "Only an active key can be rotated. Create a new one with `POST /keys`.",
)
INVALID_REQUEST = _kind(
    "invalid-request",
    422,
    "The request has invalid fields or parameters",
    "`errors` lists each of them with the reason.",
)
NO_IMAGES = _kind(
    "no-images",
    422,
    "The request has no file",
    "Attach at least one photo under the field name that `detail` gives.",
)
EMPTY_FILE = _image_kind(ImageErrorCode.EMPTY_FILE, 422, "The file is empty")
UNREADABLE_IMAGE = _image_kind(ImageErrorCode.UNREADABLE_IMAGE, 422, "The image cannot be decoded")
TRUNCATED_IMAGE = _image_kind(ImageErrorCode.TRUNCATED_IMAGE, 422, "The image is cut off")
DAMAGED_IMAGE = _image_kind(ImageErrorCode.DAMAGED_IMAGE, 422, "The image is damaged")
NO_USABLE_IMAGE = _kind(
    "no-usable-image",
    422,
    "No file of the request can be judged",
    "`errors` says for each file why.",
)
INVALID_URL = _image_kind(ImageErrorCode.INVALID_URL, 422, "The photo's URL is not valid")
BLOCKED_ADDRESS = _image_kind(
    ImageErrorCode.BLOCKED_ADDRESS, 422, "The photo's URL leads where it must not"
)
FETCH_TIMEOUT = _image_kind(
    ImageErrorCode.FETCH_TIMEOUT, 422, "The photo's server did not answer in time"
)
FETCH_TOO_LARGE = _image_kind(
    ImageErrorCode.FETCH_TOO_LARGE, 413, "The photo's URL gave too many bytes"
)
FETCH_FAILED = _image_kind(
    ImageErrorCode.FETCH_FAILED, 422, "The photo could not be fetched from its URL"
)
FETCH_STATUS = _image_kind(
    ImageErrorCode.FETCH_STATUS, 422, "The photo's server answered with an error"
)
TOO_MANY_REDIRECTS = _image_kind(
    ImageErrorCode.TOO_MANY_REDIRECTS, 422, "The photo's URL redirects too often"
)
RATE_LIMITED = _kind(
    "rate-limited",
    429,
    "The tenant has sent too many requests",
    "Send the request again after the seconds in `Retry-After`. Every answer to a request with a"
    " key says in `RateLimit-Remaining` how many are left.",
)
QUEUE_FULL = _kind(
    "queue-full",
    429,
    "The tenant has too many photos waiting",
    "Send the request again after the seconds in `Retry-After`, when some have been judged. Large"
    " amounts are better sent as a catalog.",
)
INTERNAL_ERROR = _kind(
    "internal-error",
    500,
    "The gateway failed",
    "Try again. If it persists, report `request_id`: the gateway's log has the cause under it.",
)
INFERENCE_FAILED = _image_kind(
    ImageErrorCode.INFERENCE_FAILED, 500, "The model could not judge the image"
)
OBJECT_MISSING = _image_kind(ImageErrorCode.OBJECT_MISSING, 500, "The stored image is gone")
ATTEMPTS_EXHAUSTED = _image_kind(
    ImageErrorCode.ATTEMPTS_EXHAUSTED, 500, "Judging the image failed too often"
)
STORAGE_UNAVAILABLE = _kind(
    "storage-unavailable",
    503,
    "The object store does not answer",
    "Nothing was accepted. Send the request again after the seconds in `Retry-After`.",
)
DATABASE_UNAVAILABLE = _kind(
    "database-unavailable",
    503,
    "The database does not answer",
    "No acceptance was confirmed. Send the request again after the seconds in `Retry-After`.",
)
NOT_READY = _kind(
    "not-ready",
    503,
    "The gateway cannot take requests now",
    "`checks` says which server is away; `detector doctor` says how to mend it.",
)
PREDICTION_PENDING = _kind(
    "prediction-pending",
    504,
    "The verdict is not there yet",
    "The photo was accepted and nothing is lost: read the verdict from the job that `job` links.",
)

IMAGE_PROBLEMS: dict[ImageErrorCode, ProblemKind] = {
    code: PROBLEMS[code.value.replace("_", "-")] for code in ImageErrorCode
}

# What every call that takes photos can answer.
UPLOAD_PROBLEMS = (
    MALFORMED_REQUEST,
    UPLOAD_TIMEOUT,
    TOO_LARGE,
    TOO_MANY_IMAGES,
    TOO_MANY_PIXELS,
    UNSUPPORTED_MEDIA_TYPE,
    UNSUPPORTED_TYPE,
    INVALID_REQUEST,
    NO_IMAGES,
    EMPTY_FILE,
    UNREADABLE_IMAGE,
    TRUNCATED_IMAGE,
    DAMAGED_IMAGE,
    QUEUE_FULL,
    STORAGE_UNAVAILABLE,
)

# Besides those, of photos given by URL.
URL_PROBLEMS = (
    INVALID_URL,
    BLOCKED_ADDRESS,
    FETCH_TIMEOUT,
    FETCH_TOO_LARGE,
    FETCH_FAILED,
    FETCH_STATUS,
    TOO_MANY_REDIRECTS,
)


@dataclass(eq=False)
class ProblemError(DetectorError):
    """Raised anywhere below a route; one handler renders it."""

    kind: ProblemKind
    detail: str
    # One object per offending file or field.
    errors: Sequence[dict[str, Any]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    # Extension members (RFC 9457, section 3.2).
    extensions: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind.slug}: {self.detail}"
