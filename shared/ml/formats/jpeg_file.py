"""A JPEG file for Pillow that fails where libjpeg would make pixels up and only warn."""

import io
from collections.abc import Iterator
from typing import Any

from PIL import JpegImagePlugin

from shared.ml.errors import UnreadableImage
from shared.ml.formats.jpeg_scan import JpegScans, jpeg_scans

_PART_BYTES = 64 * 1024
# What the decoder is given in place of an end marker: as much as it looks ahead. With the marker it
# would make up whatever is missing.
_LOOK_AHEAD = bytes(16)
# Compressed bytes that the decoder may leave over: this many, or this part of them.
_SPARE_BYTES, _SPARE_PART = 1024, 50


class JpegFile(JpegImagePlugin.JpegImageFile):
    """A JPEG whose decoder is given exactly the compressed pixels, so that it must make do."""

    def __init__(self, data: bytes) -> None:
        self._scans = jpeg_scans(data)
        super().__init__(io.BytesIO(data))
        end = self._scans.end
        spare = max(_SPARE_BYTES, end // _SPARE_PART) if self._scans.single else 0
        self._parts = iter(_parts(data, end, max(0, end - spare)))
        self._rest_asked = False

    def _read_dpi_from_exif(self) -> None:
        """Skip Pillow's EXIF parse on opening: it warns about corrupt EXIF, process-wide."""

    def load_read(self, read_bytes: int) -> bytes:  # noqa: ARG002  # Pillow's name
        """Return the next part of the file, b"" at its end: then the decoder lacks something."""
        part, self._rest_asked = next(self._parts, (b"", True))
        if part or self._scans.single:
            return part
        return b"\xff\xd9"

    def load(self) -> Any:
        """Decode; raises UnreadableImage with `damaged_image` when pixels had to be made up."""
        scans, fresh = self._scans, bool(self.tile)
        if fresh and not (scans.restarts_in_order and scans.complete):
            raise _damaged(scans)
        try:
            access = super().load()
        except OSError as error:
            if fresh and scans.single and "truncated" in str(error):
                raise _damaged(scans) from error
            raise
        if fresh and scans.single and not self._rest_asked:
            raise _damaged(scans)
        return access


def _parts(data: bytes, end: int, rest: int) -> Iterator[tuple[bytes, bool]]:
    """Yield the bytes before `end`, each part with whether it lies behind `rest`."""
    for start in range(0, rest, _PART_BYTES):
        yield data[start : min(rest, start + _PART_BYTES)], False
    yield data[rest:end] + _LOOK_AHEAD, True


def _damaged(scans: JpegScans) -> UnreadableImage:
    if not scans.ended:
        return UnreadableImage("truncated_image", "the JPEG file ends before its image does")
    return UnreadableImage(
        "damaged_image", "parts of the JPEG's compressed pixels are missing or overwritten"
    )
