"""`Idempotency-Key`: which request came with a key, and what to say when it comes again."""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated

from fastapi import Header

from services.gateway.http.problems import IDEMPOTENCY_KEY_REUSED, ProblemError
from services.gateway.uploads.photo import Examined
from services.gateway.uploads.submission import Submission
from shared.db.queue.idempotency import KEPT_HOURS, KeptRequest

REPLAYED_HEADER = "Idempotent-Replayed"

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="A text of your own, a UUID for instance, that is the same when the request is"
        f" sent again. Kept for {KEPT_HOURS} hours: the same request then answers with the same"
        " job, another one with 409.",
    ),
]
REPLAYED_DOC = {
    REPLAYED_HEADER: {
        "description": "`true` when the job was made by an earlier request with this key.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}


def request_hash(submission: Submission, files: Sequence[Examined]) -> bytes:
    """Return the SHA-256 over everything that counts in the request, the files' bytes included."""
    facts = {
        "operation": "submit_job",
        "listing_id": submission.listing_id,
        "category": submission.category,
        "metadata": submission.metadata,
        "webhook_url": submission.webhook_url,
        "files": [[file.filename, file.sha256] for file in files],
        "urls": [[photo.filename, photo.url] for photo in submission.urls],
    }
    # ensure_ascii stays on: metadata was checked, but nothing here depends on it.
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).digest()


def check_same(kept: KeptRequest, wanted: bytes) -> None:
    """Raise ProblemError (409) unless `kept` is the request whose hash is `wanted`."""
    if kept.request_hash != wanted:
        raise ProblemError(
            IDEMPOTENCY_KEY_REUSED,
            "this Idempotency-Key came with a request that has other photos or fields",
        )
