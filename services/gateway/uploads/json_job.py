"""The JSON form of `POST /jobs`, parsed with bounds on everything."""

from fastapi import Request
from pydantic import ValidationError

from services.gateway.http.problems import (
    INVALID_REQUEST,
    NO_IMAGES,
    TOO_MANY_IMAGES,
    ProblemError,
)
from services.gateway.uploads.json_body import read_json_object
from shared.contracts.wire.job_requests import JobRequest

# 64 URLs of 2 KiB with their names, and the metadata, several times over.
MAX_BODY_BYTES = 512 * 1024


async def read_job_request(request: Request, max_images: int) -> JobRequest:
    """Return the request's JSON body, checked so that PostgreSQL can store whatever passes.

    Raises ProblemError: 413 for too many bytes or photos, 400 for what is no JSON, 422 for wrong
    members or without any photo.
    """
    body = await read_json_object(request, MAX_BODY_BYTES)
    images = body.get("images")
    if isinstance(images, list):
        if not images:
            raise ProblemError(NO_IMAGES, "name at least one photo in 'images'")
        if len(images) > max_images:
            raise ProblemError(TOO_MANY_IMAGES, f"a request may have at most {max_images} photo(s)")
    try:
        return JobRequest.model_validate(body)
    except ValidationError as error:
        errors = [
            {
                "field": ".".join(str(part) for part in item["loc"]),
                "code": item["type"],
                "detail": item["msg"],
            }
            for item in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        detail = "; ".join(f"{item['field']}: {item['detail']}" for item in errors[:3])
        raise ProblemError(INVALID_REQUEST, detail, errors) from error
