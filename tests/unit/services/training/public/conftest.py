"""Tiny copies of public data sets, and a configuration for them."""

import pytest

from tests.support.public_sets import BROKEN, made_config, openfake_shard, photo


@pytest.fixture
def openfake(tmp_path):
    """Three shards of ten photos, in row groups of four; one row is broken, one a repetition."""
    folder = tmp_path / "openfake"
    for shard in range(3):
        rows = []
        for index in range(10):
            number, label = shard * 10 + index, index % 2
            model = f"generator-{index % 4 // 2}" if label else "laion"
            rows.append((photo(number, label), "fake" if label else "real", model))
        if shard == 1:
            rows[2] = (BROKEN, *rows[2][1:])
            rows[5] = (rows[3][0], *rows[5][1:])
        openfake_shard(folder / "core" / f"train-{shard:05d}-of-00003.parquet", rows)
    return folder


@pytest.fixture
def config():
    return made_config()
