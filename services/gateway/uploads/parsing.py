"""From a parsed body, form or JSON, to a `Submission`: every field checked the same way."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from services.gateway.http.problems import INVALID_REQUEST, ProblemError
from services.gateway.uploads.fields import (
    MAX_METADATA_BYTES,
    InvalidField,
    parse_metadata,
    parse_receiver,
    parse_text,
)
from services.gateway.uploads.form import ParsedForm, invalid_fields
from services.gateway.uploads.submission import Submission, UrlPhoto
from shared.contracts.wire.job_requests import JobRequest
from shared.net import Guard

# What a form may have besides its files.
TEXT_FIELDS = ("listing_id", "category", "metadata", "webhook_url")


def _parsers(receivers: Guard) -> Mapping[str, Callable[[str], Any]]:
    return {
        "listing_id": parse_text,
        "category": parse_text,
        "metadata": parse_metadata,
        "webhook_url": partial(parse_receiver, guard=receivers),
    }


def from_form(
    tenant_id: UUID, request_id: str, key: str | None, form: ParsedForm, receivers: Guard
) -> Submission:
    """Return what the form asks for; `receivers` judges its webhook's URL.

    Raises ProblemError that lists every wrong field.
    """
    parsers = _parsers(receivers)
    values: dict[str, Any] = {}
    for name, text in form.texts.items():
        try:
            values[name] = parsers[name](text)
        except InvalidField as error:
            form.refuse(name, error.code, str(error))
    if form.errors:
        raise invalid_fields(form)
    return Submission(tenant_id, request_id, form.files, idempotency_key=key, **values)


def from_json(
    tenant_id: UUID, request_id: str, key: str | None, body: JobRequest, receivers: Guard
) -> Submission:
    """Return what the JSON body asks for; as `from_form`."""
    parsers = _parsers(receivers)
    values: dict[str, Any] = {"metadata": body.metadata}
    errors: list[dict[str, Any]] = []
    for name in ("listing_id", "category", "webhook_url"):
        given = getattr(body, name)
        try:
            values[name] = None if given is None else parsers[name](given)
        except InvalidField as error:
            errors.append({"field": name, "code": error.code, "detail": str(error)})
    if len(json.dumps(body.metadata, ensure_ascii=False).encode()) > MAX_METADATA_BYTES:
        detail = f"at most {MAX_METADATA_BYTES} bytes"
        errors.append({"field": "metadata", "code": "invalid_value", "detail": detail})
    if errors:
        detail = "; ".join(f"{error['field']}: {error['detail']}" for error in errors)
        raise ProblemError(INVALID_REQUEST, detail, errors)
    urls = [UrlPhoto.of(image.url, image.filename) for image in body.images]
    return Submission(tenant_id, request_id, urls=urls, idempotency_key=key, **values)
