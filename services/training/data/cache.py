"""The folder that `fetch` fills: photos under names made of their hash, and a manifest of them."""

import csv
import hashlib
import io
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from services.training.data.manifest import Record, write_records
from shared.ml.preprocess import decode

# The stored form of a photo that is not kept as it was: short side in pixels and JPEG quality.
STORED_SHORT_SIDE = 300
STORED_QUALITY = 82
# File, its SHA-256, and the source's: photos made again here, whose bytes differ from the manifest.
_LEDGER = "remade.csv"


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def stored_form(raw: bytes, record: Record) -> bytes:
    """Turn a source's bytes into the stored form that the record names.

    Other versions of Pillow and libjpeg give other bytes for the same pixels, or pixels that
    differ by a level. Raises UnreadableImage.
    """
    if record.stored == "original":
        return raw
    pixels = decode(raw, STORED_SHORT_SIDE)
    with Image.open(io.BytesIO(raw)) as image:
        # Pillow carried a JPEG's comment over when the listed files were made.
        comment = image.info.get("comment", b"")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=STORED_QUALITY, comment=comment)
    return buffer.getvalue()


class Cache:
    """Photos are complete or absent: each is written beside its place and moved there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._remade = self._read_ledger()

    def holds(self, record: Record) -> bool:
        """Whether the photo is there, unaltered: as in the manifest, or as it was made again."""
        path = self.folder / record.file
        if not path.is_file():
            return False
        found = sha256_of(path.read_bytes())
        return found == record.sha256 or found == self._remade.get(record.file)

    def adopt(self, record: Record, source: Path) -> bool:
        """Take the photo from a local file by hard link, else by copy; False if it is another.

        Raises OSError when the cache cannot be written.
        """
        if not source.is_file() or sha256_of(source.read_bytes()) != record.sha256:
            return False
        target, part = self._paths(record)
        part.unlink(missing_ok=True)
        try:
            part.hardlink_to(source)
        except OSError:  # another file system, or one that forbids links to files of others
            shutil.copyfile(source, part)
        part.replace(target)
        return True

    def put(self, record: Record, raw: bytes) -> bool:
        """Store the photo made from its source's bytes; return whether the bytes are as listed.

        Raises UnreadableImage, and OSError when the cache cannot be written.
        """
        data = stored_form(raw, record)
        target, part = self._paths(record)
        part.write_bytes(data)
        digest = sha256_of(data)
        if digest != record.sha256:
            with self._lock:
                self._remade[record.file] = digest
                self._append(record, digest)
        part.replace(target)
        return digest == record.sha256

    def write_manifest(self, records: Iterable[Record]) -> None:
        """List the given photos, which are there, with the hashes that they have here."""
        write_records(
            self.folder / "manifest.csv",
            (
                record.model_copy(update={"sha256": self._remade.get(record.file, record.sha256)})
                for record in records
            ),
        )

    def _paths(self, record: Record) -> tuple[Path, Path]:
        target = self.folder / record.file
        target.parent.mkdir(parents=True, exist_ok=True)
        return target, target.with_name(target.name + ".part")

    def _read_ledger(self) -> dict[str, str]:
        path = self.folder / _LEDGER
        if not path.is_file():
            return {}
        with path.open(newline="", encoding="utf-8") as stream:
            # A line that was cut off by a crash has no hash; its photo is simply fetched again.
            return {line[0]: line[1] for line in csv.reader(stream) if len(line) == 3}

    def _append(self, record: Record, digest: str) -> None:
        with (self.folder / _LEDGER).open("a", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerow((record.file, digest, record.source_sha256 or ""))
