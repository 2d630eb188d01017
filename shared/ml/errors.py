"""Why a photo cannot be judged, in the words of the API's per-image error codes."""

from typing import Literal

from shared.core.errors import DetectorError

ImageFault = Literal[
    "empty_file",
    "unsupported_type",
    "too_many_pixels",
    "truncated_image",
    "damaged_image",
    "unreadable_image",
]


class UnreadableImage(DetectorError):
    """The bytes of one photo cannot become model input; trying again will not help."""

    def __init__(self, code: ImageFault, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code: ImageFault = code
        self.detail = detail


class PackageError(DetectorError):
    """A model package directory is missing, incomplete, altered or of an unknown form."""
