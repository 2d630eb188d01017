"""The use case behind `POST /catalogs`: hash, store, commit (in that order, G1)."""

import functools
import hashlib
import json
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

from sqlalchemy.orm import Session

from services.gateway.catalogs.submission import CatalogSubmission
from services.gateway.uploads.form import UploadedFile
from services.gateway.uploads.idempotency import check_same
from services.gateway.wiring import Gateway
from shared.core.ids import new_id
from shared.db.catalogs.rows import NewCatalog, get_catalog, insert_catalog
from shared.db.models import Catalog
from shared.db.queue import idempotency
from shared.db.queue.idempotency import KeptRequest
from shared.storage.files import S3Files

_KIND = "catalog"
_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class AcceptedCatalog:
    """The catalog of a submission; `replayed` when an earlier request had made it."""

    catalog: Catalog
    replayed: bool


async def accept_catalog(gateway: Gateway, submission: CatalogSubmission) -> AcceptedCatalog:
    """Make a catalog of `submission`; file and row are durable when this returns.

    Raises ProblemError when the idempotency key is another request's; StorageError and database
    errors as they are. Then there is no catalog.
    """
    wanted = await gateway.in_store(functools.partial(_request_hash, submission))
    earlier = await gateway.in_database(functools.partial(_earlier, submission, wanted))
    if earlier is not None:
        return AcceptedCatalog(earlier, replayed=True)
    catalog_id = new_id()
    key = None
    if submission.file is not None:
        key = f"tenants/{submission.tenant_id}/manifests/{catalog_id}"
        await gateway.in_store(functools.partial(_store, gateway.files, key, submission.file))
    insert = functools.partial(_insert, submission, catalog_id, key, wanted)
    return await gateway.in_database(insert)


def _request_hash(submission: CatalogSubmission) -> bytes:
    """Return the SHA-256 over everything that counts in the request, the file's bytes included."""
    digest = None
    if submission.file is not None and submission.idempotency_key:
        digest = _sha256(submission.file.stream)
    facts = {
        "operation": "submit_catalog",
        "format": submission.format.value,
        "filename": submission.file.filename if submission.file else None,
        "file": digest,
        "s3_prefix": submission.s3_prefix,
        "metadata": submission.metadata,
        "webhook_url": submission.webhook_url,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).digest()


def _sha256(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    stream.seek(0)
    while block := stream.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _store(files: S3Files, key: str, file: UploadedFile) -> None:
    file.stream.seek(0)
    files.put(key, file.stream, file.size, "application/octet-stream")


def _earlier(submission: CatalogSubmission, wanted: bytes, session: Session) -> Catalog | None:
    if not submission.idempotency_key:
        return None
    kept = idempotency.find(session, submission.tenant_id, submission.idempotency_key)
    return None if kept is None else _replayed(submission, kept, wanted, session)


def _replayed(
    submission: CatalogSubmission, kept: KeptRequest, wanted: bytes, session: Session
) -> Catalog | None:
    check_same(kept, wanted)
    return get_catalog(session, submission.tenant_id, kept.resource_id)


def _insert(
    submission: CatalogSubmission,
    catalog_id: UUID,
    key: str | None,
    wanted: bytes,
    session: Session,
) -> AcceptedCatalog:
    if submission.idempotency_key:
        request = KeptRequest(wanted, _KIND, catalog_id)
        holder = idempotency.claim(
            session, submission.tenant_id, submission.idempotency_key, request
        )
        catalog = _replayed(submission, holder, wanted, session) if holder else None
        if catalog is not None:
            return AcceptedCatalog(catalog, replayed=True)
    new = NewCatalog(
        tenant_id=submission.tenant_id,
        request_id=submission.request_id,
        format=submission.format,
        filename=submission.file.filename if submission.file else None,
        manifest_key=key,
        s3_prefix=submission.s3_prefix,
        extra=submission.metadata,
        webhook_url=submission.webhook_url,
        id=catalog_id,
    )
    return AcceptedCatalog(insert_catalog(session, new), replayed=False)
