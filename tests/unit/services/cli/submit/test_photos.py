import os
from pathlib import Path

import pytest

from services.cli.submit.photos import NoPhotos, PhotoFile, batches, collect


def names(root: Path, *paths: str) -> list[str]:
    found = collect([str(root / path) for path in paths])
    return [os.path.relpath(photo.file, root) for photo in found]


def test_a_directory_gives_its_photos_in_order_and_nothing_else(photos: Path) -> None:
    assert names(photos, "") == [
        "ai_1.jpg",
        "bad.jpg",
        "real_1.JPG",
        "sub/ai_2.png",
        "sub/maybe.gif",
        "sub/real_3.avif",
        "sub/deep/real_2.webp",
    ]


def test_a_file_named_outright_is_taken_whatever_it_is(photos: Path) -> None:
    assert names(photos, "notes.txt", ".hidden.jpg") == ["notes.txt", ".hidden.jpg"]


def test_patterns_that_the_shell_left_alone_are_expanded(photos: Path) -> None:
    assert names(photos, "ai_*.jpg") == ["ai_1.jpg"]
    assert names(photos, "**/real_*") == ["real_1.JPG", "sub/deep/real_2.webp", "sub/real_3.avif"]


def test_a_file_called_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "mug[1].jpg").write_bytes(b"x")
    assert names(tmp_path, "mug[1].jpg") == ["mug[1].jpg"]


def test_each_photo_is_sent_once(photos: Path) -> None:
    assert names(photos, "sub", "sub/ai_2.png", "sub/../sub/maybe.gif").count("sub/ai_2.png") == 1
    assert len(names(photos, "sub", "sub")) == 4


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("absent.jpg", "no such file or directory"),
        ("*.tiff", "no photo matches"),
    ],
)
def test_a_path_without_photos_is_named(photos: Path, path: str, message: str) -> None:
    with pytest.raises(NoPhotos, match=message):
        collect([str(photos / path)])


def test_an_empty_directory_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(NoPhotos, match=r"no photos in the directory .*\.jpeg"):
        collect([str(tmp_path)])


def test_batches_keep_order_and_lose_nothing() -> None:
    photos = [PhotoFile(str(number)) for number in range(10)]
    made = batches(photos, 4)
    assert [len(batch) for batch in made] == [4, 4, 2]
    assert [photo for batch in made for photo in batch] == photos


def test_every_name_of_a_jpeg_is_found(tmp_path: Path) -> None:
    for name in ("a.jfif", "b.jpe", "c.PJPEG", "d.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert names(tmp_path, "") == ["a.jfif", "b.jpe", "c.PJPEG"]
