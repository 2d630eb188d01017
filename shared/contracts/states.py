"""States of jobs and images, stored by value and spoken on the wire."""

from enum import StrEnum


class JobStatus(StrEnum):
    """A job is terminal once each of its images is."""

    QUEUED = "queued"  # accepted, no image leased yet
    RUNNING = "running"  # at least one image was leased
    SUCCEEDED = "succeeded"  # every image has a verdict
    PARTIAL = "partial"  # some images have a verdict, others failed or were cancelled
    FAILED = "failed"  # every image failed
    CANCELLED = "cancelled"  # no image has a verdict, at least one was cancelled


class Basis(StrEnum):
    """What decided a verdict."""

    PIXELS = "pixels"  # the model, from the picture itself
    STATEMENT = "statement"  # the file, which states that a generator made the picture


class JobKind(StrEnum):
    """Who asked for it. A `predict` job is awaited in its request and listed nowhere."""

    JOB = "job"
    PREDICT = "predict"
    CATALOG = "catalog"


class ImageStatus(StrEnum):
    """An image is leased while `running`; `succeeded` means that its verdict row exists."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class HeatmapStatus(StrEnum):
    """A heatmap is made when somebody asks for it."""

    QUEUED = "queued"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


TERMINAL_JOB = frozenset(
    {JobStatus.SUCCEEDED, JobStatus.PARTIAL, JobStatus.FAILED, JobStatus.CANCELLED}
)
TERMINAL_IMAGE = frozenset({ImageStatus.SUCCEEDED, ImageStatus.FAILED, ImageStatus.CANCELLED})


class Label(StrEnum):
    """The three verdicts. `uncertain` lies between the two thresholds of the model package."""

    REAL = "real"
    AI_GENERATED = "ai_generated"
    UNCERTAIN = "uncertain"
