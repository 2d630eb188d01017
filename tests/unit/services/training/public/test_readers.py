"""Readers on tiny files of the data sets' own layouts."""

import sys

import pyarrow as pa
import pytest
from pyarrow import parquet

from services.training.errors import TrainingError
from services.training.public.folders import GenImageReader
from services.training.public.hub import Hub
from services.training.public.parquet import COMMUNITY_FORENSICS, ParquetReader
from services.training.public.readers import reader_of
from services.training.public.records import REAL, Record, Skip
from tests.support.public_sets import made_config, photo


def test_openfake_gives_its_rows_from_any_row_on(openfake, config):
    reader = reader_of(config, openfake)
    shards = reader.shards()
    assert sorted(shards) == [f"core/train-{n:05d}-of-00003.parquet" for n in range(3)]
    first = "core/train-00000-of-00003.parquet"
    rows = list(reader.read(first))
    assert [row.label for row in rows] == [0, 1] * 5
    assert rows[0] == Record(
        photo(0, 0), 0, REAL, f"{REAL}/laion/train-00000-of-00003", "CC-BY-4.0"
    )
    assert rows[3].generator == "generator-1"
    assert rows[3].source == "generator-1/train-00000-of-00003"
    # Row groups have four rows: before, at, and behind a border, and behind the end.
    for start in (3, 4, 7, 10):
        assert list(reader.read(first, start)) == rows[start:]


def test_a_shard_of_another_layout_is_refused_with_its_columns(tmp_path):
    folder = tmp_path / "core"
    folder.mkdir()
    parquet.write_table(pa.table({"image": [b"x"], "label": ["real"]}), folder / "train-0.parquet")
    (folder / "train-1.parquet").write_bytes(b"PAR1 broken off")
    reader = reader_of(made_config(), tmp_path)
    with pytest.raises(TrainingError, match=r"lacks the columns \['model'\]"):
        next(reader.read("core/train-0.parquet"))
    with pytest.raises(TrainingError, match="Remove it and fetch it again"):
        next(reader.read("core/train-1.parquet"))
    with pytest.raises(TrainingError, match="has no file like"):
        reader_of(made_config(), tmp_path / "elsewhere").shards()


def test_community_forensics_has_plain_bytes_numbers_and_a_split(tmp_path):
    table = pa.table(
        {
            "image_name": ["1.png"] * 4,
            "image_data": pa.array([photo(1, 1), photo(2, 0), photo(3, 1), photo(4, 1)]),
            "model_name": ["someone/model", "real", "someone/model", "someone/model"],
            "real_source": ["LAION", "COCO", "LAION", "LAION"],
            "split": ["train", "train", "test", "train"],
            "label": [1, 0, 1, 7],
        }
    )
    parquet.write_table(table, tmp_path / "part-0.parquet")
    reader = ParquetReader(
        lambda: ["part-0.parquet"], tmp_path.joinpath, COMMUNITY_FORENSICS, "CC-BY-NC-SA-4.0"
    )
    made, real, other, unknown = reader.read("part-0.parquet")
    assert (made.label, made.generator, made.source) == (
        1,
        "someone/model",
        "someone/model/part-0",
    )
    assert (real.label, real.generator, real.source) == (0, REAL, f"{REAL}/COCO/part-0")
    assert (other, unknown) == (Skip.OTHER_SPLIT, Skip.UNREADABLE)


def test_genimage_takes_its_folders_with_or_without_one_between(tmp_path):
    files = (
        "Midjourney/train/ai/208_midjourney_76.png",
        "Midjourney/train/nature/n01440764_10026.JPEG",
        "Midjourney/val/ai/208_midjourney_80.png",
        "stable_diffusion_v_1_4/imagenet_ai_0419_sdv4/train/ai/000_sdv4_00001.png",
        "Midjourney/train/ai/notes.txt",
    )
    for number, name in enumerate(files):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo(number, 1, 16))
    reader = GenImageReader(tmp_path, ("train",), "CC-BY-NC-SA-4.0")
    rows = {shard: list(reader.read(shard)) for shard in reader.shards()}
    assert {
        shard: [(r.label, r.generator, r.source) for r in found] for shard, found in rows.items()
    } == {
        "Midjourney/train/ai": [(1, "Midjourney", "Midjourney/208")],
        "Midjourney/train/nature": [(0, REAL, f"{REAL}/Midjourney/n01440764")],
        "stable_diffusion_v_1_4/imagenet_ai_0419_sdv4/train/ai": [
            (1, "stable_diffusion_v_1_4", "stable_diffusion_v_1_4/000")
        ],
    }
    with pytest.raises(TrainingError, match="Unpack GenImage"):
        GenImageReader(tmp_path / "Midjourney" / "train", ("train",), "x").shards()


def test_a_download_without_the_library_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(TrainingError, match="pip install huggingface_hub"):
        Hub("someone/set", "main", ("*.parquet",), tmp_path)


def test_a_shard_that_is_there_is_not_fetched_and_can_be_discarded(tmp_path):
    (tmp_path / "core").mkdir()
    path = tmp_path / "core" / "train-0.parquet"
    path.write_bytes(b"x")
    hub = Hub("someone/set", "main", ("core/*.parquet",), tmp_path)
    assert hub.open("core/train-0.parquet") == path
    hub.discard("core/train-0.parquet")
    assert not path.exists()


def test_what_cannot_be_downloaded_says_what_to_do(tmp_path):
    with pytest.raises(TrainingError, match="names no repository"):
        reader_of(made_config(), tmp_path, download=True)
    data = {
        "reader": "genimage",
        "licence": "CC-BY-NC-SA-4.0",
        "non_commercial": True,
        "files": ["train"],
    }
    with pytest.raises(TrainingError, match="unpack"):
        reader_of(made_config(data=data), tmp_path, download=True)
