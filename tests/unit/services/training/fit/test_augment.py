import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.training.config import AugmentConfig
from services.training.fit.augment import augment
from services.training.fit.loader import RoundLoader
from services.training.pipeline import prepare
from services.training.settings import TrainingSettings

EVERYTHING = AugmentConfig(
    crop=48, rescale=1, color=1, blur=1, sharpen=1, noise=1, encode=1, encode_twice=1
)
NOTHING = AugmentConfig(
    crop=48, flip=0, rescale=0, color=0, blur=0, sharpen=0, noise=0, encode=0, encode_twice=0
)


def noise(height, width):
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(deadline=None, max_examples=60)
@given(st.integers(16, 120), st.integers(16, 120), st.integers(0, 2**32))
def test_any_photo_gives_a_crop(height, width, seed):
    for config in (EVERYTHING, NOTHING):
        crop = augment(noise(height, width), config, np.random.default_rng(seed))
        assert crop.shape == (48, 48, 3)
        assert crop.dtype == np.uint8
        assert crop.flags.writeable  # torch warns about arrays that are not


def test_without_any_treatment_it_is_a_native_crop():
    """Nothing is resized: the crop's pixels stand in the photo, side by side."""
    photo = noise(90, 90)
    crop = augment(photo, NOTHING, np.random.default_rng(5))
    windows = np.lib.stride_tricks.sliding_window_view(photo, (48, 48), axis=(0, 1))
    assert (windows == crop.transpose(2, 0, 1)).all((2, 3, 4)).any()


def test_the_generator_decides_everything():
    photo = noise(90, 90)
    first, again, other = (
        augment(photo, EVERYTHING, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


@pytest.fixture
def run(config, dataset, tmp_path):
    return prepare(config, TrainingSettings(dataset_dir=dataset, runs_dir=tmp_path))


def test_a_round_is_balanced_and_repeatable(run):
    loader = RoundLoader(run.splits.train, run.config)
    draws = loader.draws(3)
    labels = [run.splits.train[index].label for index, _ in draws]
    assert sum(labels) == len(labels) // 2 == run.config.fit.samples_per_round // 2
    assert draws == RoundLoader(run.splits.train, run.config).draws(3)
    assert draws != loader.draws(4)


def test_batches_are_uint8_photos(run):
    images, labels = next(RoundLoader(run.splits.train, run.config).batches(0))
    assert images.shape == (16, 48, 48, 3)
    assert str(images.dtype) == "torch.uint8"
    assert set(labels.tolist()) == {0, 1}
