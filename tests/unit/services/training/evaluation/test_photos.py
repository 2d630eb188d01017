import csv

import pytest
from PIL import Image

from services.training.errors import TrainingError
from services.training.evaluation.photos import (
    CAP,
    GENERATOR,
    KNOWN,
    SOURCE,
    family_of,
    fingerprint,
    originals_set,
    views_set,
)


@pytest.mark.parametrize(
    ("generator", "family"),
    [
        ("DALL-E 3 (Microsoft Designer/Bing C2PA)", "dall-e"),
        ("dall-e-2", "dall-e"),
        ("DALL-E Mega (craiyon, 2022)", "craiyon"),
        ("Leonardo Lucid Origin (file name)", "leonardo"),
        # A model under another's roof is the model.
        ("Flux Dev via Leonardo (file name)", "flux"),
        ("gpt-image-2 via Leonardo (file name)", "gpt-image"),
        ("gpt-image 2.0 (C2PA; Lovable project)", "gpt-image"),
        ("ChatGPT image 2026-01 (C2PA GPT-4o; gpt-image-1.5, presumed)", "gpt-image"),
        ("midjourney-likely (adamkicklighter)", "midjourney"),
        ("lovable-imagegen (XMP trainedAlgorithmicMedia)", "lovable"),
        ("Replit agent image generation (Google, C2PA)", "replit"),
        ("v0 image generation", "v0"),
        ("Google AI image via v0 (XMP: Made with Google AI)", "google"),
        ("nano-banana-pro", "google"),
        ("Imagen 3/4 (ImageFX, by file name)", "google"),
        ("Imagen-pytorch (cene555, 2022)", "imagen-pytorch"),
        ("iclight-sd15", "stable-diffusion"),
        ("SDXL + RPG (readme)", "stable-diffusion"),
        ("comfyui:sd3", "stable-diffusion"),
        ("uno-flux", "flux"),
        ("sdcpp:qwen", "qwen"),
        ("qwen-image-2512", "qwen"),
        ("z-image-turbo", "z-image"),
        ("unknown (presumed SD/Flux)", "unknown"),
        ("unknown-imagegen (XMP trainedAlgorithmicMedia)", "unknown"),
        ("", "unknown"),
    ],
)
def test_names_of_one_family_are_one(generator, family):
    assert family_of(generator) == family


# name, split, label, generator, repository, whether the original is at hand
PHOTOS = [
    ("seen", "train", "ai_generated", "uno-flux", "gallery/seen", False),
    *((f"shop{n}", SOURCE, "real", "", "shop/a", n != 3) for n in range(CAP + 5)),
    ("other", SOURCE, "real", "", "shop/b", False),
    ("made", SOURCE, "ai_generated", "v0 image generation", "site/a", True),
    ("dalle", GENERATOR, "ai_generated", "DALL-E 3", "gallery/a", True),
    ("flux", GENERATOR, "ai_generated", "FLUX.1-dev", "gallery/b", True),
    ("nameless", GENERATOR, "ai_generated", "unknown (ai folder)", "gallery/c", True),
]


@pytest.fixture
def places(tmp_path):
    dataset, originals = tmp_path / "dataset", tmp_path / "originals"
    (dataset / "images").mkdir(parents=True)
    rows = []
    for number, (name, split, label, generator, repository, kept) in enumerate(PHOTOS):
        digest = f"{number:02x}" * 32
        Image.new("RGB", (8, 8)).save(dataset / "images" / f"{name}.jpg")
        if kept:
            (originals / digest[:2]).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16)).save(originals / digest[:2] / digest, "PNG")
        rows.append(
            {
                "file": f"images/{name}.jpg",
                "sha256": f"{number:064d}",
                "label": label,
                "generator": generator,
                "group": repository,
                "split": split,
                "category": "food",
                "width": 8,
                "height": 8,
                "source_repo": repository,
                "source_sha256": digest,
                "source_width": 16,
                "source_height": 16,
            }
        )
    manifest = dataset / "manifest.csv"
    with manifest.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return manifest, dataset, originals


def names(found, split):
    return sorted(PHOTOS[int(found.items[index].sha256)][0] for index in found.splits[split])


def test_headline_photos_have_their_original_and_at_most_twelve_of_a_source(places):
    found = originals_set(*places)
    assert all(item.is_original for item in found.items)
    source = names(found, SOURCE)
    assert len(source) == CAP + 1
    assert "shop3" not in source
    assert "other" not in source
    assert "made" in source


def test_only_absent_families_are_unseen_and_the_others_stand_apart(places):
    found = originals_set(*places)
    generated = {"dalle", "flux", "nameless"}
    assert generated & set(names(found, GENERATOR)) == {"dalle"}
    assert generated & set(names(found, KNOWN)) == {"flux", "nameless"}
    real = [name for name in names(found, SOURCE) if name.startswith("shop")]
    assert [name for name in names(found, GENERATOR) if name.startswith("shop")] == real


def test_coverage_counts_all_photos_and_those_judged(places):
    coverage = originals_set(*places).coverage
    assert coverage[SOURCE]["real"] == {
        "listed": CAP + 6,
        "originals": CAP + 4,
        "judged": CAP,
    }
    assert coverage[GENERATOR]["ai_generated"] == {"listed": 3, "originals": 3, "judged": 3}


def test_views_are_the_same_whatever_originals_are_here(places):
    manifest, dataset, _ = places
    found = views_set(manifest, dataset)
    assert not any(item.is_original for item in found.items)
    assert "other" in names(found, SOURCE)
    assert fingerprint(found) != fingerprint(originals_set(*places))


def test_leaving_photos_out_keeps_the_splits_in_step(places):
    found = originals_set(*places)
    kept = found.labels == 1
    left = found.only(kept)
    assert names(left, SOURCE) == ["made"]
    assert names(left, GENERATOR) == ["dalle"]


def test_without_originals_the_error_says_what_to_do(places, tmp_path):
    manifest, dataset, _ = places
    with pytest.raises(TrainingError, match="DETECTOR_ORIGINALS_DIR"):
        originals_set(manifest, dataset, tmp_path / "nowhere")
