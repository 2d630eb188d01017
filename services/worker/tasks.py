"""Celery tasks: thin wrappers around the use case."""

import time
from collections.abc import Sequence
from uuid import UUID

import structlog
from celery import Celery

from services.worker.chunk import ChunkProcessor, ChunkReport
from services.worker.metrics import CHUNK_SECONDS, CHUNKS
from shared.contracts.tasks import INFER_CHUNK
from shared.core.logging import get_logger

log = get_logger(__name__)


def register(app: Celery, processor: ChunkProcessor) -> None:
    """Add the worker's task to `app`."""

    @app.task(name=INFER_CHUNK)
    def infer_chunk(image_ids: Sequence[str]) -> None:
        """Judge a chunk of image ids; delivered twice, it finds nothing to lease."""
        run_chunk(processor, [UUID(image_id) for image_id in image_ids])


def run_chunk(processor: ChunkProcessor, image_ids: Sequence[UUID]) -> None:
    """Judge a chunk, and tell logs and metrics of it."""
    started = time.perf_counter()
    result = "error"
    try:
        report = processor.process(image_ids)
        result = "done" if report.leased else "nothing_to_do"
        _log(report, time.perf_counter() - started)
    except Exception:
        log.exception("chunk.error", images=len(image_ids))
        raise
    finally:
        seconds = time.perf_counter() - started
        CHUNKS.labels(result).inc()
        CHUNK_SECONDS.observe(seconds)
        structlog.contextvars.clear_contextvars()


def _log(report: ChunkReport, seconds: float) -> None:
    """Write the canonical line of one chunk."""
    log.info(
        "chunk.finished",
        images=report.asked,
        leased=report.leased,
        reused=report.reused,
        jobs_finished=report.jobs_finished,
        duration_ms=round(seconds * 1000, 1),
        job_ids=[str(job_id) for job_id in report.job_ids],
        request_ids=report.request_ids,
        **{f"outcome_{name}": count for name, count in report.outcomes.items()},
    )
