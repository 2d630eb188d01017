from itertools import combinations

import numpy as np
import pytest

from services.training.data.manifest import Record
from services.training.data.validation.duplicates import close_hashes, find_pairs
from services.training.data.validation.inspect import Facts


def record(number, split="train", label="real", **fields):
    return Record(
        file=f"images/{number}.jpg",
        sha256=f"{number:064x}",
        label=label,
        generator="g",
        group=f"group-{number}",
        split=split,
        **fields,
    )


def facts(phash=0, angle=0.0):
    """Facts whose thumbnails correlate by the cosine of their angles' difference."""
    thumbnail = np.zeros(256, np.float32)
    thumbnail[:2] = np.cos(angle), np.sin(angle)
    return Facts("", "JPEG", 8, 8, 100, 80.0, 2, False, phash, thumbnail)


@pytest.mark.parametrize("count", [0, 1, 300, 1100])
def test_all_close_hashes_are_found_over_blocks(count):
    """Against a plain loop, with as many near hashes as there are far ones."""
    rng = np.random.default_rng(count)
    hashes = rng.integers(0, 2**63, count, dtype=np.uint64)
    hashes[count // 2 :] = hashes[: count - count // 2] ^ np.uint64(0b1011)
    plain = [int(value) for value in hashes]
    expected = {
        (i, j) for i, j in combinations(range(count), 2) if (plain[i] ^ plain[j]).bit_count() <= 3
    }
    assert close_hashes(hashes, 3) == expected
    assert count < 2 or expected


def test_near_duplicates_across_sides_are_found_the_training_one_first():
    records = [record(0, "test_unseen_source"), record(1, "train"), record(2, "val")]
    found = find_pairs(records, [facts(0b1), facts(0b0), facts(2**40 - 1)], 6, 0.9)
    (pair,) = found
    assert (pair.first.split, pair.second.split, pair.distance) == (
        "train",
        "test_unseen_source",
        1,
    )
    assert pair.crosses
    assert not pair.exact


def test_pairs_within_a_side_count_only_when_their_labels_differ():
    records = [record(0), record(1, "art"), record(2, label="ai_generated")]
    found = find_pairs(records, [facts()] * 3, 6, 0.9)
    assert {(p.first.file, p.second.file) for p in found} == {
        ("images/0.jpg", "images/2.jpg"),
        ("images/1.jpg", "images/2.jpg"),
    }
    assert all(pair.labels_differ and not pair.crosses for pair in found)


def test_a_close_hash_of_another_picture_is_no_duplicate():
    records = [record(0), record(1, "val")]
    assert find_pairs(records, [facts(angle=0.0), facts(angle=1.0)], 6, 0.9) == []
    assert len(find_pairs(records, [facts(angle=0.0), facts(angle=0.1)], 6, 0.9)) == 1


def test_one_source_stored_twice_is_an_exact_duplicate():
    """Even where the stored forms look different, and before any near one."""
    source = "f" * 64
    records = [
        record(0, source_sha256=source),
        record(1, "val", source_sha256=source),
        record(2, "val"),
    ]
    found = find_pairs(records, [facts(0), facts(2**30 - 1, 1.5), facts(0)], 6, 0.9)
    assert [pair.exact for pair in found] == [True, False]
