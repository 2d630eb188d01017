"""The store filled from a reader: bounded, resumable, without what cannot be read."""

import csv
import hashlib
from collections import Counter

import numpy as np
import pytest

from services.training.errors import TrainingError
from services.training.eyes.sampling import read_columns
from services.training.eyes.store import versions_of
from services.training.public import fill as filling
from services.training.public.fill import CURSOR, Cursor, fill
from services.training.public.growing import GrowingArray
from services.training.public.readers import reader_of
from services.training.public.records import Skip
from tests.support.public_sets import BROKEN, made_config, openfake_shard, photo


def quiet(_line):
    """Say nothing."""


def content(folder):
    with (folder / "rows.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return rows, np.load(folder / "stacks.npy", mmap_mode="r")


def test_every_readable_photo_is_in_the_store_once(openfake, config, tmp_path):
    store = tmp_path / "store"
    cursor = fill(config, reader_of(config, openfake), store, quiet)
    rows, stacks = content(store)
    assert cursor.finished
    assert cursor.skipped == {Skip.UNREADABLE: 1, Skip.DUPLICATE: 1}
    assert stacks.shape == (28, 2, 3, 32, 32, 3)
    assert np.load(store / "done.npy").tolist() == [True] * 28
    columns = read_columns(store / "rows.csv")
    assert Counter(columns.label.tolist()) == {0: 14, 1: 14}
    assert columns.is_original.all()
    assert (rows[0]["width"], rows[0]["group"]) == ("72", "tiny (CC-BY-4.0)")
    # What is stored for a row is what that file gives.
    number = next(n for n in range(30) if photo(n, n % 2) and _digest(n) == rows[5]["sha256"])
    expected, _size = versions_of(photo(number, number % 2), rows[5]["sha256"], config.eyes.spec)
    np.testing.assert_array_equal(stacks[5], expected)


def _digest(number):
    return hashlib.sha256(photo(number, number % 2)).hexdigest()


def test_no_source_is_on_two_sides_and_named_generators_are_held_out(openfake, tmp_path):
    config = made_config(validation_generators=["generator-1"], validation_share=0.01)
    fill(config, reader_of(config, openfake), tmp_path / "store", quiet)
    columns = read_columns(tmp_path / "store" / "rows.csv")
    sides = {source: set() for source in columns.repository}
    for source, split in zip(columns.repository, columns.split, strict=True):
        sides[source].add(str(split))
    assert all(len(found) == 1 for found in sides.values())
    assert set(columns.split[columns.generator == "generator-1"]) == {"val"}
    assert set(columns.split[columns.generator == "generator-0"]) == {"train"}


def test_caps_bound_sources_generators_and_classes(openfake, tmp_path):
    config = made_config(caps={"per_generator": 4, "per_source": 2, "per_class": 5})
    cursor = fill(config, reader_of(config, openfake), tmp_path / "store", quiet)
    columns = read_columns(tmp_path / "store" / "rows.csv")
    assert max(Counter(columns.repository.tolist()).values()) == 2
    generated = columns.label == 1
    assert max(Counter(columns.generator[generated].tolist()).values()) <= 4
    assert Counter(columns.label.tolist()) == {0: 5, 1: 5}
    assert cursor.skipped[Skip.OVER_CAP] > 0


class Stopped(Exception):
    """What a test stops a run with."""


class StoppingReader:
    """Another reader that breaks off before its n-th row."""

    def __init__(self, reader, rows):
        self._reader, self._left = reader, rows

    def __getattr__(self, name):
        return getattr(self._reader, name)

    def read(self, shard, start=0):
        for row in self._reader.read(shard, start):
            if self._left == 0:
                raise Stopped
            self._left -= 1
            yield row


@pytest.mark.parametrize("after", [0, 3, 7, 13, 26])
def test_a_run_stopped_within_a_shard_ends_like_one_that_was_not(
    openfake, tmp_path, monkeypatch, after
):
    monkeypatch.setattr(filling, "_CHUNK", 3)
    config = made_config(caps={"per_generator": 7, "per_source": 4, "per_class": 11})
    fill(config, reader_of(config, openfake), tmp_path / "whole", quiet)
    stopped = tmp_path / "stopped"
    with pytest.raises(Stopped):
        fill(config, StoppingReader(reader_of(config, openfake), after), stopped, quiet)
    if after > 3:
        assert 0 < Cursor.load(stopped / CURSOR).rows < 22
    # Written but not yet counted: what a kill between the two leaves.
    with (stopped / "rows.csv").open("a") as stream:
        stream.write("half a li")
    with (stopped / "stacks.npy").open("ab") as stream:
        stream.write(b"half a photo")
    fill(config, reader_of(config, openfake), stopped, quiet)
    for name in ("rows.csv", "stacks.npy", "done.npy", CURSOR):
        assert (stopped / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_finished_store_is_left_alone_and_another_configuration_refused(
    openfake, config, tmp_path
):
    fill(config, reader_of(config, openfake), tmp_path / "store", quiet)
    before = (tmp_path / "store" / "stacks.npy").stat().st_mtime_ns
    fill(config, reader_of(config, tmp_path / "gone"), tmp_path / "store", quiet)
    assert (tmp_path / "store" / "stacks.npy").stat().st_mtime_ns == before
    other = made_config(validation_share=0.3)
    with pytest.raises(TrainingError, match="another configuration"):
        fill(other, reader_of(other, openfake), tmp_path / "store", quiet)


def test_a_store_without_photos_says_what_was_left_out(openfake, tmp_path):
    data = made_config().data.model_copy(update={"reader": "openfake"})
    for path in (openfake / "core").glob("*.parquet"):
        path.unlink()
    openfake_shard(openfake / "core" / "train-0.parquet", [(BROKEN, "real", "laion")])
    config = made_config(data=data.model_dump())
    with pytest.raises(TrainingError, match="1 unreadable"):
        fill(config, reader_of(config, openfake), tmp_path / "store", quiet)


def test_processes_decode_what_this_one_does(openfake, tmp_path):
    for workers in (0, 1):
        config = made_config(workers=workers)
        fill(config, reader_of(config, openfake), tmp_path / str(workers), quiet)
    first, second = (content(tmp_path / name)[1] for name in ("0", "1"))
    np.testing.assert_array_equal(first, second)


def test_a_growing_array_is_a_valid_file_at_every_length(tmp_path):
    path = tmp_path / "array.npy"
    with GrowingArray(path, np.uint8, (2, 3)) as array:
        assert np.load(path).shape == (0, 2, 3)
        for number in range(12):
            array.append(np.full((1, 2, 3), number, np.uint8))
        with pytest.raises(ValueError, match="do not fit"):
            array.append(np.zeros((1, 3, 2), np.uint8))
    np.testing.assert_array_equal(np.load(path)[:, 0, 0], range(12))
    with GrowingArray(path, np.uint8, (2, 3), 4):
        pass
    assert np.load(path).shape == (4, 2, 3)
    with pytest.raises(TrainingError, match="not as it was left"):
        GrowingArray(path, np.uint8, (2, 3), 5)
    with pytest.raises(TrainingError, match="not as it was left"):
        GrowingArray(path, np.uint8, (1, 3), 4)
