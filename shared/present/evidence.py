"""The evidence bundle of one photo: written by the gateway, read again by `detector evidence`.

A ZIP file of `evidence.json`, the photo as it was received, the heatmap when there is one, and a
README. The same facts give the same bytes.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.contracts.wire import Review
from shared.contracts.wire_images import ImageDetail
from shared.core.errors import DetectorError

SCHEMA = 1
DESCRIPTION_FILE = "evidence.json"
HEATMAP_FILE = "heatmap.png"
README_FILE = "README.txt"
# Larger members are refused when read: the gateway takes no photo near this size.
MAX_MEMBER_BYTES = 256 << 20

_EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/avif": "avif",
}
_EPOCH = (1980, 1, 1, 0, 0, 0)
_README = """\
Evidence for one photo, as the detector stored it.

evidence.json   the photo's facts: its SHA-256, every verdict with the model version and what it
                was judged with (thresholds, false-accusation budget, preprocess), the evidence that
                took part in it, and what reviewers said. `files` has every SHA-256.
photo.*         the very bytes that were judged.
heatmap.png     where in the photo the model saw what it saw: orange pulls to AI-generated, blue to
                real. Absent when there is none; evidence.json says why (`heatmap_absent`).

The verdict can be computed again from these files:

    detector evidence verify FILE.zip

It needs the model package that evidence.json names, and nothing from the server.
"""


class BundleError(DetectorError):
    """A file is no evidence bundle, or not the one that was written."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds; its files agree with their hashes."""

    image: ImageDetail
    photo: bytes
    heatmap: bytes | None
    description: Mapping[str, Any]


def write_bundle(
    image: ImageDetail,
    reviews: Sequence[Review],
    photo: bytes,
    heatmap: bytes | None,
    heatmap_absent: str | None,
) -> bytes:
    """Return the ZIP file; `heatmap_absent` says why there is no heatmap."""
    photo_name = f"photo.{_EXTENSIONS.get(image.content_type or '', 'bin')}"
    files = {photo_name: photo, README_FILE: _README.encode()}
    if heatmap is not None:
        files[HEATMAP_FILE] = heatmap
    description = {
        "schema": SCHEMA,
        "image": image.model_dump(mode="json"),
        "reviews": [review.model_dump(mode="json") for review in reviews],
        "photo": photo_name,
        "heatmap": HEATMAP_FILE if heatmap is not None else None,
        "heatmap_absent": heatmap_absent,
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in files.items()
        },
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        text = json.dumps(description, indent=2, ensure_ascii=False)
        _add(archive, DESCRIPTION_FILE, text.encode(), zipfile.ZIP_DEFLATED)
        for name, data in files.items():
            _add(archive, name, data, zipfile.ZIP_STORED)
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes, compression: int) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = compression
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)


def read_bundle(path: Path) -> Bundle:
    """Read a bundle and check every file of it against its hash.

    Raises BundleError that names what is missing, altered or of another form.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            description = json.loads(_member(archive, DESCRIPTION_FILE))
            if description.get("schema") != SCHEMA:
                raise BundleError(f"{path} has schema {description.get('schema')!r}, not {SCHEMA}")
            files = {
                name: _checked(archive, name, facts) for name, facts in description["files"].items()
            }
        image = ImageDetail.model_validate(description["image"])
        photo = files[description["photo"]]
        heatmap = files[description["heatmap"]] if description["heatmap"] else None
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError) as error:
        raise BundleError(f"{path} is no evidence bundle: {error}") from error
    if hashlib.sha256(photo).hexdigest() != image.sha256:
        raise BundleError(f"{path}: the photo is not the one that was judged")
    return Bundle(image, photo, heatmap, description)


def _checked(archive: zipfile.ZipFile, name: str, facts: Mapping[str, Any]) -> bytes:
    data = _member(archive, name)
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise BundleError(f"{archive.filename}: {name} was altered, its SHA-256 is another one")
    return data


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as stream:
        data = stream.read(MAX_MEMBER_BYTES + 1)
    if len(data) > MAX_MEMBER_BYTES:
        raise BundleError(f"{archive.filename}: {name} is too large")
    return data
