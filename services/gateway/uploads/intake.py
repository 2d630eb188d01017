"""What is checked of a file before any work is done on it. Pure but for reading the stream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from services.gateway.http.problems import IMAGE_PROBLEMS, NO_USABLE_IMAGE, ProblemError
from shared.contracts.errors import ImageErrorCode
from shared.ml.errors import UnreadableImage
from shared.ml.formats.header import ImageHeader, read_header


@dataclass(frozen=True, slots=True)
class FileLimits:
    """Bytes of one file; pixels of it, all frames together."""

    max_bytes: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one file is not taken."""

    code: ImageErrorCode
    detail: str


def inspect(stream: BinaryIO, size: int, limits: FileLimits) -> ImageHeader | Refusal:
    """Return the header of the image in `stream`, or why it is refused.

    Nothing is decoded, so a bomb costs no more than a photo. A file whose header is sound may
    still be cut off or broken further on: the worker finds out.
    """
    if size > limits.max_bytes:
        detail = f"{size} bytes; at most {limits.max_bytes} are allowed"
        return Refusal(ImageErrorCode.TOO_LARGE, detail)
    try:
        header = read_header(stream)
    except UnreadableImage as error:
        return Refusal(ImageErrorCode(error.code), error.detail)
    pixels = header.pixels_of_all_frames
    if pixels > limits.max_pixels:
        frames = f" x {header.frames} frames" if (header.frames or 1) > 1 else ""
        detail = (
            f"{header.width} x {header.height}{frames} = {pixels} pixels;"
            f" at most {limits.max_pixels} are allowed"
        )
        return Refusal(ImageErrorCode.TOO_MANY_PIXELS, detail)
    return header


def refusal_problem(filenames: Sequence[str], refusals: Mapping[int, Refusal]) -> ProblemError:
    """Return the problem for a request of which every file was refused.

    Its type is the files' common reason, or `no-usable-image` when the reasons differ.
    """
    errors: list[dict[str, Any]] = [
        {
            "index": index,
            "filename": filenames[index],
            "code": refusal.code.value,
            "detail": refusal.detail,
        }
        for index, refusal in sorted(refusals.items())
    ]
    codes = {refusal.code for refusal in refusals.values()}
    kind = IMAGE_PROBLEMS[codes.pop()] if len(codes) == 1 else NO_USABLE_IMAGE
    detail = "; ".join(f"{error['filename']}: {error['detail']}" for error in errors[:3])
    if len(errors) > 3:
        detail += f"; and {len(errors) - 3} more"
    return ProblemError(kind, detail, errors)
