import io
from dataclasses import replace

import numpy as np
import pytest

from shared.ml.errors import PackageError
from shared.ml.evaluation_photos import UNKNOWN_QUALITY, EvaluationPhotos, read_photos, write_photos

PHOTOS = EvaluationPhotos(
    logit=np.array([-2.5, 0.0, 3.25], np.float32),
    second_logit=np.array([np.nan, 0.5, np.nan], np.float32),
    label=np.array([0, 0, 1], np.uint8),
    split=np.array(["test_unseen_source", "test_unseen_source", "test_unseen_generator"]),
    source=np.array(["shop", "another shop", "midjourney"]),
    format=np.array(["JPEG", "PNG", "JPEG"]),
    encoder_quality=np.array([82, UNKNOWN_QUALITY, 95], np.int16),
    width=np.array([300, 640, 1024], np.int32),
    height=np.array([400, 640, 768], np.int32),
    embedding=np.arange(6, dtype=np.float16).reshape(3, 2),
)


@pytest.mark.parametrize("photos", [PHOTOS, replace(PHOTOS, embedding=None)])
def test_what_is_written_is_read_again(photos, tmp_path):
    path = tmp_path / "photos.npz"
    write_photos(photos, path)
    again = read_photos(path)
    assert len(again) == 3
    for name in EvaluationPhotos.__dataclass_fields__:
        before, after = getattr(photos, name), getattr(again, name)
        if before is None:
            assert after is None
        else:
            assert after.dtype.kind == before.dtype.kind
            np.testing.assert_array_equal(after, before)
    other = tmp_path / "other.npz"
    write_photos(again, other)
    assert other.read_bytes() == path.read_bytes()


def archive(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    stream.seek(0)
    return stream


def columns():
    return {
        name: getattr(PHOTOS, name)
        for name in EvaluationPhotos.__dataclass_fields__
        if getattr(PHOTOS, name) is not None
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": np.array([0, 1])}, "no table"),
        ({"embedding": np.zeros(3)}, "no table"),
        ({"embedding": np.zeros((2, 4))}, "no table"),
        ({"logit": np.array([0.0, np.nan, 1.0])}, "no table"),
        ({"source": np.array([{}, {}, {}], object)}, "cannot be read"),
    ],
)
def test_another_form_is_refused(change, said):
    with pytest.raises(PackageError, match=said):
        read_photos(archive(**(columns() | change)))


def test_a_missing_column_is_named():
    found = columns()
    del found["width"]
    with pytest.raises(PackageError, match="lack width"):
        read_photos(archive(**found))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"not an archive"])
def test_other_bytes_are_refused(content):
    with pytest.raises(PackageError, match="cannot be read"):
        read_photos(io.BytesIO(content))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(PackageError, match="cannot be read"):
        read_photos(tmp_path / "nowhere.npz")
