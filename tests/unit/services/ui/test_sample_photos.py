from pathlib import Path

from services.ui.sample_photos import load_samples
from tests.support.photos import samples as listed


def test_the_shipped_samples_are_listed_with_their_licence() -> None:
    samples = load_samples()
    assert [sample.name for sample in samples] == [name for name, _ in listed()]
    assert {sample.label for sample in samples} == {"real", "ai_generated"}
    assert all(sample.licence and sample.attribution for sample in samples)


def test_without_samples_there_are_none(tmp_path: Path) -> None:
    assert load_samples(tmp_path) == []
    (tmp_path / "samples.csv").write_text("file,label\ngone.jpg,real\n")
    assert load_samples(tmp_path) == []
