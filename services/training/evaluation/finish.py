"""Puts an evaluation into its package: report, photos one by one, card, manifest."""

import json
from pathlib import Path

import numpy as np

from services.training.evaluate.numbers import headline
from services.training.evaluation.card import members_card
from services.training.evaluation.judging import TierScores
from services.training.evaluation.photos import SOURCE, PhotoSet
from services.training.evaluation.report import Report
from services.training.evaluation.tiers import NATIVE_QUALITY
from services.training.package.write import CARD_NAME, entry_of
from shared.ml.evaluation_photos import PHOTOS_NAME, EvaluationPhotos, write_photos
from shared.ml.package import load_package
from shared.ml.spec import MANIFEST_NAME, ModelManifest


def finish_package(
    directory: Path, report: Report, photos: PhotoSet, native: TierScores
) -> ModelManifest:
    """Write evaluation.json, PHOTOS_NAME and MODEL_CARD.md, and the manifest with their hashes.

    `native` are the scores of `photos.items` in the first tier, in their order.
    """
    found = load_package(directory)
    evaluation = directory / found.evaluation.name
    evaluation.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    listed = directory / PHOTOS_NAME
    write_photos(photo_table(photos, native), listed)
    files = found.manifest.files.model_copy(
        update={"evaluation": entry_of(evaluation), "evaluation_photos": entry_of(listed)}
    )
    metrics = {key: round(value, 6) for key, value in headline(report).items()}
    manifest = found.manifest.model_copy(update={"files": files, "metrics": metrics})
    (directory / CARD_NAME).write_text(members_card(manifest, report), encoding="utf-8")
    (directory / MANIFEST_NAME).write_text(
        manifest.model_dump_json(indent=1) + "\n", encoding="utf-8"
    )
    return manifest


def photo_table(photos: PhotoSet, native: TierScores) -> EvaluationPhotos:
    """Return the photos of the first tier one by one, for drift detection to compare with."""
    items, scores = photos.items, native.scores
    count = len(items)
    return EvaluationPhotos(
        logit=scores.logit.astype(np.float32),
        second_logit=native.second.astype(np.float32),
        label=photos.labels.astype(np.uint8),
        split=np.array(["test_unseen_generator" if i.split != SOURCE else SOURCE for i in items]),
        source=np.array([i.generator if i.label else i.repository for i in items]),
        # Every photo of the tier was saved alike.
        format=np.array(["JPEG"] * count),
        encoder_quality=np.full(count, NATIVE_QUALITY, np.int16),
        width=native.facts["width"].astype(np.int32),
        height=native.facts["height"].astype(np.int32),
        embedding=None if scores.embedding is None else scores.embedding.astype(np.float16),
    )
