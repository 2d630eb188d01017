"""JSON bodies of routes that parse them by hand, because they take forms as well."""

from typing import Any

from fastapi import Request

from services.gateway.http.problems import MALFORMED_REQUEST, TOO_LARGE, ProblemError
from services.gateway.uploads.fields import MAX_METADATA_DEPTH, InvalidField, parse_json


async def read_json_object(request: Request, max_bytes: int) -> dict[str, Any]:
    """Return the request's JSON object.

    Raises ProblemError: 413 for more than `max_bytes`, 400 for what is no JSON object, is nested
    too deep, or has what PostgreSQL cannot store.
    """
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > max_bytes:
            raise ProblemError(TOO_LARGE, f"a JSON body may have at most {max_bytes} bytes")
    try:
        # Two levels more than metadata may have, which is one of the members.
        body = parse_json(raw.decode(), MAX_METADATA_DEPTH + 2)
    except (InvalidField, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, InvalidField) else "not UTF-8"
        raise ProblemError(MALFORMED_REQUEST, f"the JSON body is refused: {reason}") from error
    if not isinstance(body, dict):
        raise ProblemError(MALFORMED_REQUEST, "the JSON body must be an object")
    return body
