import io

import numpy as np
import pytest
from PIL import Image

from services.training.data.cache import Cache, sha256_of, stored_form
from services.training.data.manifest import load_records, write_records
from services.training.data.photos import read_manifest
from services.training.data.sources.fetch import Outcome, fetch
from services.training.data.sources.http import HttpSource, Limits


def quiet(*_):
    pass


@pytest.fixture
def source():
    limits = Limits(attempts=2, pause_seconds=0.01)
    with HttpSource(limits, plain_http_hosts=frozenset({"127.0.0.1"})) as made:
        yield made


@pytest.fixture
def public(sample, server):
    """Six records whose originals, larger PNGs, are on the server under https-less addresses."""
    records = []
    for record in load_records(sample / "manifest.csv")[:6]:
        with Image.open(sample / record.file) as image:
            buffer = io.BytesIO()
            image.resize((640, 400)).save(buffer, "PNG")
        raw = buffer.getvalue()
        name = f"{record.sha256[:16]} original.png"
        (server.folder / name).write_bytes(raw)
        changed = record.model_copy(update={"stored": "jpeg82"})
        stored = sha256_of(stored_form(raw, changed))
        records.append(
            changed.model_copy(
                update={
                    "source_url": f"{server.url}/{name}",
                    "source_sha256": sha256_of(raw),
                    "sha256": stored,
                    "file": f"images/{stored[:16]}.jpg",
                }
            )
        )
    return records


def outcomes(results):
    return {result.record.file: result.outcome for result in results}


def test_local_photos_are_linked_and_a_second_run_finds_them(sample, tmp_path):
    records = load_records(sample / "manifest.csv")
    steps = []
    cache = Cache(tmp_path)
    first = fetch(records, cache, [sample], None, 2, lambda *step: steps.append(step))
    assert {result.outcome for result in first} == {Outcome.LOCAL}
    assert steps[-1] == (len(records), len(records))
    assert (tmp_path / records[0].file).stat().st_nlink > 1
    again = fetch(records, Cache(tmp_path), [], None, 2, quiet)
    assert {result.outcome for result in again} == {Outcome.PRESENT}
    assert len(read_manifest(tmp_path)) == len(records)


def test_an_altered_local_photo_is_not_taken(sample, tmp_path):
    record = load_records(sample / "manifest.csv")[0]
    (tmp_path / "local" / record.file).parent.mkdir(parents=True)
    (tmp_path / "local" / record.file).write_bytes(b"something else")
    folders = [tmp_path / "local"]
    (only,) = fetch([record], Cache(tmp_path / "cache"), folders, None, 1, quiet)
    assert only.outcome is Outcome.MISSING
    (second,) = fetch([record], Cache(tmp_path / "cache"), [*folders, sample], None, 1, quiet)
    assert second.outcome is Outcome.LOCAL


def test_an_altered_photo_in_the_cache_is_replaced(sample, tmp_path):
    record = load_records(sample / "manifest.csv")[0]
    cache = Cache(tmp_path)
    (tmp_path / record.file).parent.mkdir(parents=True)
    (tmp_path / record.file).write_bytes(b"cut off")
    (only,) = fetch([record], cache, [sample], None, 1, quiet)
    assert only.outcome is Outcome.LOCAL
    assert sha256_of((tmp_path / record.file).read_bytes()) == record.sha256


def test_public_photos_are_downloaded_and_brought_to_the_stored_form(public, source, tmp_path):
    results = fetch(public, Cache(tmp_path), [], source, 3, quiet)
    assert set(outcomes(results).values()) == {Outcome.DOWNLOADED}
    with Image.open(tmp_path / public[0].file) as image:
        assert (image.format, image.size) == ("JPEG", (480, 300))
    assert not list(tmp_path.rglob("*.part"))


def test_other_stored_bytes_of_the_right_source_are_told_and_kept(public, server, source, tmp_path):
    """As with another version of libjpeg: the source is right, the listed hash cannot be met."""
    foreign = public[0].model_copy(update={"sha256": "0" * 64})
    (only,) = fetch([foreign], Cache(tmp_path), [], source, 1, quiet)
    assert only.outcome is Outcome.REMADE
    (row,) = read_manifest(tmp_path)
    assert row.sha256 == sha256_of(row.path.read_bytes()) != foreign.sha256
    asked = len(server.asked)
    (again,) = fetch([foreign], Cache(tmp_path), [], source, 1, quiet)
    assert (again.outcome, len(server.asked)) == (Outcome.PRESENT, asked)


def test_what_is_missing_is_told_and_asked_for_again(public, server, source, tmp_path):
    gone = server.folder / f"{public[0].source_url.rpartition('/')[2]}"
    content = gone.read_bytes()
    gone.unlink()
    broken = public[1].model_copy(update={"source_sha256": "0" * 64})
    nameless = public[2].model_copy(update={"source_url": None})
    odd = public[3].model_copy(update={"source_url": "pkg:pypi/-x@1#a"})
    wanted = [public[0], broken, nameless, odd, public[4]]
    results = fetch(wanted, Cache(tmp_path), [], source, 2, quiet)
    details = {result.record.file: result.detail for result in results}
    assert "404" in details[public[0].file]
    assert "hash" in details[broken.file]
    assert "names no source" in details[nameless.file]
    assert "odd name" in details[odd.file]
    assert [row.path.name for row in read_manifest(tmp_path)] == [public[4].file[7:]]
    gone.write_bytes(content)
    again = fetch(public[:1], Cache(tmp_path), [], source, 2, quiet)
    assert outcomes(again)[public[0].file] is Outcome.DOWNLOADED


def test_a_source_that_is_no_image_is_told(public, server, source, tmp_path):
    (server.folder / "page.png").write_bytes(b"<html>")
    record = public[0].model_copy(
        update={"source_url": f"{server.url}/page.png", "source_sha256": sha256_of(b"<html>")}
    )
    (only,) = fetch([record], Cache(tmp_path), [], source, 1, quiet)
    assert only.outcome is Outcome.MISSING
    assert "cannot be decoded" in only.detail


def test_photos_in_packages_come_from_one_download(sample, make_wheel, tmp_path):
    """Two photos of one wheel that pip finds in a folder, brought in together."""
    listed = load_records(sample / "manifest.csv")[:2]
    make_wheel({f"{n}.jpg": (sample / r.file).read_bytes() for n, r in enumerate(listed)})
    records = [
        record.model_copy(update={"source_url": f"pkg:pypi/some-photos@1.0#{number}.jpg"})
        for number, record in enumerate(listed)
    ]
    with HttpSource() as source:
        results = fetch(records, Cache(tmp_path / "cache"), [], source, 2, quiet)
    assert set(outcomes(results).values()) == {Outcome.DOWNLOADED}
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"images", "manifest.csv"}


def test_the_stored_form_is_upright_rgb_of_300_pixels(sample):
    record = load_records(sample / "manifest.csv")[0].model_copy(update={"stored": "jpeg82"})
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    pixels = np.zeros((400, 800, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG", exif=exif)
    with Image.open(io.BytesIO(stored_form(buffer.getvalue(), record))) as image:
        assert (image.mode, image.size) == ("RGB", (300, 600))
        assert not image.getexif()


def test_the_manifest_survives_a_round_trip(sample, tmp_path):
    records = load_records(sample / "manifest.csv")
    write_records(tmp_path / "copy.csv", records)
    assert load_records(tmp_path / "copy.csv") == records
