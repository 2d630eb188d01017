"""Ids are valid UUIDv7 and grow with time."""

import time

from shared.core.ids import new_id


def test_ids_are_version_7_of_the_rfc_variant():
    for _ in range(100):
        made = new_id()
        assert made.version == 7
        assert made.variant == "specified in RFC 4122"


def test_ids_sort_by_time_and_do_not_repeat():
    made = []
    for _ in range(5):
        made.append(new_id())
        time.sleep(0.002)
    assert made == sorted(made)
    assert len({new_id() for _ in range(10_000)}) == 10_000


def test_the_first_48_bits_are_unix_milliseconds():
    before = time.time_ns() // 1_000_000
    stamp = new_id().int >> 80
    assert before <= stamp <= time.time_ns() // 1_000_000
