"""What is uploaded: bytes or files, opened anew for each attempt."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo to send: its name and its bytes, or the path of a file that holds them."""

    name: str
    source: bytes | Path

    def open(self) -> BinaryIO:
        """Return a fresh stream; raises OSError when the file cannot be read."""
        return BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")


def header_safe(name: str) -> str:
    """Return `name` in a form that a multipart header can carry (file names may be any bytes)."""
    return name.encode("utf-8", "replace").decode()
