"""Photos drawn for the drift study keep what is known of the real ones."""

import json
import shutil

import numpy as np
import pytest

from services.drift.study.scores import MIN_PHOTOS, Source, read_scores
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.errors import PackageError

CHAMPION = REPOSITORY_ROOT / "models" / "0.3.1"


def drawn_from(rows, count=200_000):
    rng = np.random.default_rng(3)
    return Source("shop", generated=False, rows=rows).draw(rng, rng.integers(len(rows), size=count))


def test_draws_have_the_rows_mean_and_covariance():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4)) + [5, 0, -2, 1]
    drawn = drawn_from(rows)
    deviation = rows.std(axis=0)
    assert np.all(np.abs(drawn.mean(axis=0) - rows.mean(axis=0)) < 0.02 * deviation)
    # Noise has the unbiased covariance, rows as a population the other: between the two.
    scale = np.outer(deviation, deviation)
    assert np.all(np.abs(np.cov(drawn.T) - np.cov(rows.T)) < 0.03 * scale)


def test_fewer_rows_than_dimensions_are_drawn_within_their_own_span():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(3, 6))
    drawn = drawn_from(rows, 500)
    span = rows[1:] - rows[0]
    residual = drawn - rows[0]
    residual -= residual @ np.linalg.pinv(span) @ span
    assert np.abs(residual).max() < 1e-9


def test_the_champions_sources_come_from_its_own_photos():
    scores = read_scores(CHAMPION)
    everyone = [*scores.real, *scores.known, *scores.unseen]
    assert all(len(source.rows) >= MIN_PHOTOS for source in everyone)
    assert all(photos < MIN_PHOTOS for _name, photos in scores.left_out)
    assert {source.generated for source in scores.real} == {False}
    assert {source.generated for source in [*scores.known, *scores.unseen]} == {True}
    assert scores.dimensions == 16
    # The model tells most generators' photos from real ones.
    real = np.concatenate([source.rows[:, 0] for source in scores.real]).mean()
    assert all(source.rows[:, 0].mean() > real for source in scores.unseen)


def test_a_package_without_its_photos_is_refused(tmp_path):
    shutil.copytree(CHAMPION, tmp_path, dirs_exist_ok=True)
    manifest = tmp_path / "model.json"
    body = json.loads(manifest.read_text())
    body["files"]["evaluation_photos"] = None
    manifest.write_text(json.dumps(body))
    with pytest.raises(PackageError, match="photo by photo"):
        read_scores(tmp_path)
