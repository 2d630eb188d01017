"""Bundles: what was written is read, what was changed is found out."""

import hashlib
import io
import json
import subprocess
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.worker.evidence.signature import check_signature
from shared.contracts.states import ImageStatus
from shared.contracts.wire.images import ImageDetail, ImageLinks
from shared.keys.evidence import EvidenceSigner
from shared.keys.secret_keys import new_secret_key
from shared.present.evidence import BundleError, read_bundle, write_bundle

PHOTO = b"\xff\xd8 a photo"
SIGNER = EvidenceSigner(new_secret_key())
IMAGE = ImageDetail(
    id=UUID(int=1),
    job_id=UUID(int=2),
    filename="mug.jpg",
    status=ImageStatus.SUCCEEDED,
    sha256=hashlib.sha256(PHOTO).hexdigest(),
    content_type="image/jpeg",
    size=len(PHOTO),
    created_at=datetime(2026, 11, 23, tzinfo=UTC),
    links=ImageLinks(self="/images/1", job="/jobs/2", feedback="/images/1/feedback"),
)


def written(path: Path, signer: EvidenceSigner | None = SIGNER) -> Path:
    path.write_bytes(write_bundle(IMAGE, [], PHOTO, None, "not asked for", signer))
    return path


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Return the bundle with another evidence.json, its signature kept."""
    with zipfile.ZipFile(written(path)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    facts = json.loads(files["evidence.json"])
    change(facts)
    files["evidence.json"] = json.dumps(facts).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_what_was_written_is_read_and_its_signature_holds(tmp_path: Path) -> None:
    bundle = read_bundle(written(tmp_path / "a.zip"))
    assert (bundle.image, bundle.photo, bundle.heatmap) == (IMAGE, PHOTO, None)
    check = check_signature(bundle, None)
    assert (check.holds, check.stored) == (True, f"by key {SIGNER.current.id}")
    assert check_signature(bundle, SIGNER.public_keys).holds
    assert not check_signature(bundle, EvidenceSigner(new_secret_key()).public_keys).holds


def test_the_same_facts_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = written(tmp_path / "a.zip"), written(tmp_path / "b.zip")
    assert first.read_bytes() == second.read_bytes()


def test_changed_facts_are_not_what_was_signed(tmp_path: Path) -> None:
    lie = lambda facts: facts["image"].update(filename="another.jpg")
    for known in (None, SIGNER.public_keys):
        check = check_signature(read_bundle(changed(tmp_path / "a.zip", lie)), known)
        assert (check.holds, check.now) == (False, "of other facts than these")


def test_an_unsigned_bundle_says_so_and_fails_where_a_key_is_asked_for(tmp_path: Path) -> None:
    plain = read_bundle(written(tmp_path / "plain.zip", signer=None))
    assert plain.description["signature"] is None
    assert check_signature(plain, None).now == "not signed"
    assert check_signature(plain, None).holds
    assert not check_signature(plain, SIGNER.public_keys).holds
    stripped = changed(tmp_path / "stripped.zip", lambda facts: facts.update(signature=None))
    assert not check_signature(read_bundle(stripped), SIGNER.public_keys).holds


def test_a_forger_s_own_key_is_none_that_was_given(tmp_path: Path) -> None:
    forged = read_bundle(written(tmp_path / "a.zip", EvidenceSigner(new_secret_key())))
    assert check_signature(forged, None).holds
    check = check_signature(forged, SIGNER.public_keys)
    assert (check.holds, "was not given" in check.now) == (False, True)


@pytest.mark.parametrize("file", ["evidence.json.sig", "public-key.pem", "photo.jpg"])
def test_a_bundle_that_lacks_a_file_is_none(tmp_path: Path, file: str) -> None:
    with zipfile.ZipFile(written(tmp_path / "a.zip")) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if name != file}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in kept.items():
            archive.writestr(name, data)
    (tmp_path / "b.zip").write_bytes(buffer.getvalue())
    with pytest.raises(BundleError):
        read_bundle(tmp_path / "b.zip")


def test_openssl_checks_the_signature_as_the_readme_says(tmp_path: Path) -> None:
    with zipfile.ZipFile(written(tmp_path / "a.zip")) as archive:
        archive.extractall(tmp_path)
    readme = (tmp_path / "README.txt").read_text()
    command = readme[readme.index("openssl pkeyutl") :].partition("\n\n")[0]
    run = lambda: subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, check=False
    )
    assert run().returncode == 0, run().stderr
    (tmp_path / "evidence.json").write_bytes(b"{}")
    assert run().returncode != 0
