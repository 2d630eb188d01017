"""`POST /catalogs`: from a form with a file, or JSON with a prefix, to what is asked for."""

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Any, BinaryIO
from uuid import UUID

from fastapi import Request
from pydantic import ValidationError

from services.gateway.http.problems import INVALID_REQUEST, ProblemError
from services.gateway.uploads.fields import (
    MAX_METADATA_BYTES,
    InvalidField,
    parse_metadata,
    parse_receiver,
)
from services.gateway.uploads.form import ParsedForm, UploadedFile, invalid_fields
from services.gateway.uploads.json_body import read_json_object
from shared.contracts.catalogs import CatalogFormat
from shared.contracts.wire.catalogs import PrefixRequest
from shared.net import Guard

TEXT_FIELDS = ("format", "metadata", "webhook_url")
_MAX_JSON_BYTES = 64 * 1024
_FORMATS = {
    ".csv": CatalogFormat.CSV,
    ".tsv": CatalogFormat.CSV,
    ".jsonl": CatalogFormat.JSONL,
    ".ndjson": CatalogFormat.JSONL,
    ".parquet": CatalogFormat.PARQUET,
    ".zip": CatalogFormat.ZIP,
}
_MAGIC = {b"PAR1": CatalogFormat.PARQUET, b"PK\x03\x04": CatalogFormat.ZIP}


@dataclass(frozen=True, slots=True)
class CatalogSubmission:
    """What one request asks for: a file, or a prefix of the import bucket."""

    tenant_id: UUID
    request_id: str
    format: CatalogFormat
    file: UploadedFile | None = None
    s3_prefix: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    webhook_url: str | None = None
    idempotency_key: str | None = None


def from_form(
    tenant_id: UUID, request_id: str, key: str | None, form: ParsedForm, receivers: Guard
) -> CatalogSubmission:
    """Return what the form asks for; `receivers` judges its webhook's URL.

    Raises ProblemError that lists every wrong field.
    """
    parse_url = partial(parse_receiver, guard=receivers)
    values: dict[str, Any] = {}
    for name, parse in (("metadata", parse_metadata), ("webhook_url", parse_url)):
        try:
            if name in form.texts:
                values[name] = parse(form.texts[name])
        except InvalidField as error:
            form.refuse(name, error.code, str(error))
    fmt = None
    try:
        if form.files:
            fmt = _format(form.texts.get("format", ""), form.files[0])
    except InvalidField as error:
        form.refuse("format", "invalid_value", str(error))
    if form.errors or fmt is None:
        raise invalid_fields(form)
    return CatalogSubmission(
        tenant_id, request_id, fmt, form.files[0], idempotency_key=key, **values
    )


async def from_json(
    tenant_id: UUID, request_id: str, key: str | None, request: Request, receivers: Guard
) -> CatalogSubmission:
    """Return what the JSON body asks for; as `from_form`."""
    try:
        body = PrefixRequest.model_validate(await read_json_object(request, _MAX_JSON_BYTES))
    except ValidationError as error:
        raise _invalid(
            [
                {
                    "field": ".".join(map(str, item["loc"])),
                    "code": item["type"],
                    "detail": item["msg"],
                }
                for item in error.errors(include_url=False, include_input=False)
            ]
        ) from error
    errors: list[dict[str, Any]] = []
    receiver = None
    try:
        receiver = parse_receiver(body.webhook_url or "", receivers)
    except InvalidField as error:
        errors.append({"field": "webhook_url", "code": error.code, "detail": str(error)})
    if len(json.dumps(body.metadata, ensure_ascii=False).encode()) > MAX_METADATA_BYTES:
        detail = f"at most {MAX_METADATA_BYTES} bytes"
        errors.append({"field": "metadata", "code": "invalid_value", "detail": detail})
    if not _is_prefix(body.s3_prefix):
        detail = "must be relative, without empty parts, '..', '\\' and control characters"
        errors.append({"field": "s3_prefix", "code": "invalid_value", "detail": detail})
    if errors:
        raise _invalid(errors)
    return CatalogSubmission(
        tenant_id,
        request_id,
        CatalogFormat.S3_PREFIX,
        s3_prefix=body.s3_prefix,
        metadata=body.metadata,
        webhook_url=receiver,
        idempotency_key=key,
    )


def _format(given: str, file: UploadedFile) -> CatalogFormat:
    """Return the format that was named or that the file shows. Raises InvalidField."""
    known = ", ".join(dict.fromkeys(fmt.value for fmt in _FORMATS.values()))
    start = _start(file.stream)
    shown = next((fmt for magic, fmt in _MAGIC.items() if start.startswith(magic)), None)
    named = given.strip().lower()
    if named:
        if named not in {fmt.value for fmt in _FORMATS.values()}:
            raise InvalidField(f"must be one of {known}")
        fmt = CatalogFormat(named)
    else:
        suffix = PurePosixPath(file.filename).suffix.lower()
        found = shown or _FORMATS.get(suffix)
        if found is None:
            raise InvalidField(f"not to be told from the file's name; give one of {known}")
        fmt = found
    if shown is not fmt and (shown is not None or fmt in _MAGIC.values()):
        raise InvalidField(f"the file is not {fmt.value}")
    return fmt


def _start(stream: BinaryIO) -> bytes:
    stream.seek(0)
    start = stream.read(4)
    stream.seek(0)
    return start


def _is_prefix(prefix: str) -> bool:
    if not prefix:
        return True
    parts = prefix.removesuffix("/").split("/")
    return prefix.isprintable() and "\\" not in prefix and not {"", ".", ".."} & set(parts)


def _invalid(errors: list[dict[str, Any]]) -> ProblemError:
    detail = "; ".join(f"{error['field']}: {error['detail']}" for error in errors)
    return ProblemError(INVALID_REQUEST, detail, errors)
