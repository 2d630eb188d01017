from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.drift.populations import Copies, NewGenerator, Ordinary
from services.cli.drift.simulation import Plan, draw_photos, timeline
from services.drift.windows import Plan as ServicePlan
from services.drift.windows import next_window
from shared.db.drift.simulation import JudgedPhoto
from shared.settings.drift import DriftWindowSettings

# 2026 to 2036.
moments = st.integers(1_767_225_600, 2_082_758_400).map(lambda s: datetime.fromtimestamp(s, UTC))
DEFAULTS = DriftWindowSettings()
steps = st.sampled_from([60.0, 3600.0, 7200.0])


@given(moments, steps, st.integers(1, 12))
def test_all_windows_have_ended_and_settled(now, step, windows):
    times = timeline(now, DriftWindowSettings(drift_window_seconds=step), windows)
    assert times.end.timestamp() % step == 0
    assert timedelta(seconds=60) < now - times.end <= timedelta(seconds=step + 61)
    assert times.reference_slots * step >= DEFAULTS.drift_first_reference_seconds


@pytest.mark.parametrize("shift", ["generator", "none"])
def test_the_service_finds_a_reference_and_then_every_window(shift):
    now = datetime(2026, 11, 23, 10, 20, tzinfo=UTC)
    times = timeline(now, DEFAULTS, 2)
    plan = Plan(shift, 0.3, 2, 0)
    photos = [
        drawn.photo
        for drawn in draw_photos(plan, times, DEFAULTS, (Ordinary(), NewGenerator()), Random(1))
    ]
    assert min(photo.at for photo in photos) == times.start
    assert len({photo.job for photo in photos}) == len(photos)
    reference = times.start + times.reference_slots * times.step
    assert sum(photo.at < reference for photo in photos) > DEFAULTS.drift_reference_photos
    cut = ServicePlan(times.step, DEFAULTS.drift_window_photos, timedelta(days=1))
    start, ends = reference, []
    while start < times.end:
        slots = Counter((photo.at - start) // times.step for photo in photos if photo.at >= start)
        due = next_window(cut, start, times.end, slots)
        assert due is not None
        ends.append(start := due.end)
    assert ends == [reference + index * times.step for index in (1, 2, 3)]
    # Ordinary scores lie on either side; the new generator's in between.
    doubtful = [photo.at for photo in photos if photo.label == "uncertain"]
    rate = lambda begin: (
        sum(begin <= at < begin + times.step for at in doubtful)
        / sum(begin <= photo.at < begin + times.step for photo in photos)
    )
    assert rate(reference) < 0.1
    assert (rate(times.end - times.step) > 0.15) is (shift == "generator")


def test_a_copy_has_what_its_original_was_judged_to_be():
    original = JudgedPhoto(
        "real", 0.1, -2.0, [0.5, 1.0], "image/webp", None, 200, 800, 9, "key", "0" * 64, "a", None
    )
    drawn = Copies([original]).draw(Random(0), datetime.now(UTC), 3)
    assert drawn.original is original
    photo = drawn.photo
    assert (photo.label, photo.probability, photo.logit) == ("real", 0.1, -2.0)
    assert (photo.format, photo.encoder_quality, photo.side) == ("webp", None, 400)
    assert photo.embedding == [0.5, 1.0]
