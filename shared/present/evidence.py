"""The evidence bundle of one photo: written by the gateway, read again by `detector evidence`.

A ZIP file of `evidence.json`, the photo as it was received, the heatmap when there is one, a README
and, when the gateway has a key, a detached signature over `evidence.json`, which holds the hashes
of all others. The same facts give the same bytes.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.contracts.wire.images import ImageDetail
from shared.contracts.wire.jobs import Review
from shared.core.errors import DetectorError
from shared.keys.evidence import ALGORITHM, EvidenceSigner

SCHEMA = 1
DESCRIPTION_FILE = "evidence.json"
HEATMAP_FILE = "heatmap.png"
README_FILE = "README.txt"
PUBLIC_KEY_FILE = "public-key.pem"
SIGNATURE_FILE = f"{DESCRIPTION_FILE}.sig"
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
evidence.json.sig, public-key.pem
                Ed25519 signature over the bytes of evidence.json, and the key to check it with.
                Absent when the detector signs nothing; then `signature` is null there.

The verdict can be computed again from these files:

    detector evidence verify FILE.zip

It needs the model package that evidence.json names, and nothing from the server. The signature
alone is checked by openssl 3, too:

    openssl pkeyutl -verify -pubin -inkey public-key.pem -rawin -in evidence.json \\
        -sigfile evidence.json.sig

It shows who stated this only if public-key.pem is the detector's own: compare it with what its
operator publishes (GET /evidence/keys).
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
    # The very bytes that `signature` is about.
    signed: bytes
    # None when the bundle says that it is not signed.
    signature: bytes | None
    public_key: str | None


def write_bundle(
    image: ImageDetail,
    reviews: Sequence[Review],
    photo: bytes,
    heatmap: bytes | None,
    heatmap_absent: str | None,
    signer: EvidenceSigner | None = None,
) -> bytes:
    """Return the ZIP file; `heatmap_absent` says why there is no heatmap."""
    photo_name = f"photo.{_EXTENSIONS.get(image.content_type or '', 'bin')}"
    files = {photo_name: photo, README_FILE: _README.encode()}
    if heatmap is not None:
        files[HEATMAP_FILE] = heatmap
    if signer is not None:
        files[PUBLIC_KEY_FILE] = signer.current.pem.encode()
    description = {
        "schema": SCHEMA,
        "image": image.model_dump(mode="json"),
        "reviews": [review.model_dump(mode="json") for review in reviews],
        "photo": photo_name,
        "heatmap": HEATMAP_FILE if heatmap is not None else None,
        "heatmap_absent": heatmap_absent,
        "signature": _signature_facts(signer) if signer else None,
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in files.items()
        },
    }
    text = json.dumps(description, indent=2, ensure_ascii=False).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        _add(archive, DESCRIPTION_FILE, text, zipfile.ZIP_DEFLATED)
        if signer is not None:
            _add(archive, SIGNATURE_FILE, signer.sign(text), zipfile.ZIP_STORED)
        for name, data in files.items():
            _add(archive, name, data, zipfile.ZIP_STORED)
    return buffer.getvalue()


def _signature_facts(signer: EvidenceSigner) -> dict[str, str]:
    return {
        "algorithm": ALGORITHM,
        "key_id": signer.current.id,
        "public_key": PUBLIC_KEY_FILE,
        "file": SIGNATURE_FILE,
    }


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
            text = _member(archive, DESCRIPTION_FILE)
            description = json.loads(text)
            if description.get("schema") != SCHEMA:
                raise BundleError(f"{path} has schema {description.get('schema')!r}, not {SCHEMA}")
            files = {
                name: _checked(archive, name, facts) for name, facts in description["files"].items()
            }
            signing = description.get("signature")
            signature = _member(archive, signing["file"]) if signing else None
        public_key = files[signing["public_key"]].decode("ascii") if signing else None
        image = ImageDetail.model_validate(description["image"])
        photo = files[description["photo"]]
        heatmap = files[description["heatmap"]] if description["heatmap"] else None
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError) as error:
        raise BundleError(f"{path} is no evidence bundle: {error}") from error
    if hashlib.sha256(photo).hexdigest() != image.sha256:
        raise BundleError(f"{path}: the photo is not the one that was judged")
    return Bundle(image, photo, heatmap, description, text, signature, public_key)


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
