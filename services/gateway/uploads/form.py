"""Multipart forms, parsed with bounds on everything: files on disk, fields few and short."""

import errno
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from services.gateway.http.problems import (
    INVALID_REQUEST,
    MALFORMED_REQUEST,
    NO_IMAGES,
    TOO_MANY_IMAGES,
    UNSUPPORTED_MEDIA_TYPE,
    ProblemError,
)
from services.gateway.http.responses import storage_unavailable
from services.gateway.uploads.names import display_name

_MAX_FIELDS = 16
_MAX_FIELD_BYTES = 64 * 1024


class _StrictParser(MultiPartParser):
    """Starlette's parser, but frugal with memory and not content with half a form."""

    # Files go to disk early: 64 files of the default 1 MiB each would fill the memory.
    spool_max_size = 128 * 1024

    _ended = False

    def on_end(self) -> None:
        """The last boundary was seen."""
        self._ended = True

    async def parse(self) -> FormData:
        """Parse the stream; raises MultiPartException when it ends before the form does.

        The base class would return the parts that came: a body cut off by a proxy would become a
        job without its last photos.
        """
        form = await super().parse()
        if not self._ended:
            for file in self._files_to_close_on_error:
                file.close()
            raise MultiPartException("The body ends before its last boundary.")
        return form


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """One file part. `stream` lives until the form is closed."""

    filename: str
    size: int
    stream: BinaryIO


@dataclass(slots=True)
class ParsedForm:
    """File parts in upload order, and text fields."""

    files: list[UploadedFile] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, name: str, code: str, detail: str) -> None:
        """Note that field `name` is wrong."""
        self.errors.append({"field": name, "code": code, "detail": detail})


def media_type(request: Request) -> str:
    """Return the media type of the request's body without parameters, "" when none is declared."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@asynccontextmanager
async def open_form(
    request: Request, file_field: str, text_fields: Collection[str], max_files: int
) -> AsyncIterator[ParsedForm]:
    """Parse the request's multipart body; its temporary files are gone after the block.

    Raises ProblemError: 415 for another media type, 400 for a broken body, 413 for too many files,
    422 for unknown or repeated fields or without any file.
    """
    form = await _parse(request, file_field, max_files)
    try:
        yield _checked(form, file_field, text_fields, max_files)
    finally:
        await form.close()


async def _parse(request: Request, file_field: str, max_files: int) -> FormData:
    sent = media_type(request)
    if sent != "multipart/form-data":
        raise ProblemError(
            UNSUPPORTED_MEDIA_TYPE,
            f"send multipart/form-data with photos as {file_field!r}, not"
            f" {sent or 'a body without a type'}",
        )
    # One more than allowed, so that the count is refused below, with a clear message.
    parser = _StrictParser(
        request.headers,
        request.stream(),
        max_files=max_files + 1,
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD_BYTES,
    )
    try:
        return await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise _too_many(max_files) from error
        raise ProblemError(MALFORMED_REQUEST, error.message) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE):
            raise storage_unavailable() from error
        raise


def _too_many(max_files: int) -> ProblemError:
    return ProblemError(TOO_MANY_IMAGES, f"a request may have at most {max_files} file(s)")


def _checked(
    form: FormData, file_field: str, text_fields: Collection[str], max_files: int
) -> ParsedForm:
    parsed = ParsedForm()
    for name, value in form.multi_items():
        if name == file_field and isinstance(value, UploadFile):
            stream: BinaryIO = value.file
            parsed.files.append(
                UploadedFile(display_name(value.filename or ""), value.size or 0, stream)
            )
        elif name == file_field:
            parsed.refuse(name, "not_a_file", "send a file here, not text (curl: name=@path)")
        elif name not in text_fields:
            known = ", ".join([file_field, *text_fields])
            parsed.refuse(display_name(name), "unknown_field", f"unknown; known are {known}")
        elif isinstance(value, UploadFile):
            parsed.refuse(name, "not_text", "send text here, not a file")
        elif name in parsed.texts:
            parsed.refuse(name, "repeated_field", "given more than once")
        else:
            parsed.texts[name] = value
    if len(parsed.files) > max_files:
        raise _too_many(max_files)
    if not parsed.files and not parsed.errors:
        raise ProblemError(NO_IMAGES, f"attach at least one file as {file_field!r}")
    return parsed


def invalid_fields(form: ParsedForm) -> ProblemError:
    """Return the problem that lists `form.errors`."""
    detail = "; ".join(f"{error['field']}: {error['detail']}" for error in form.errors)
    return ProblemError(INVALID_REQUEST, detail, form.errors)
