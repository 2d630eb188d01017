"""A made-up package of members, whose logits tests choose."""

from datetime import UTC, datetime

import pytest

from shared.ml.spec import (
    Calibration,
    EmbeddingSpec,
    FileEntry,
    Member,
    ModelManifest,
    Normalization,
    OperatingPoint,
    PackageFiles,
    StackSpec,
    Thresholds,
    TrainingRecord,
    Trunk,
)

HALF = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def entry(name):
    return FileEntry(name=name, sha256="0" * 64, size_bytes=1_000_000)


def member(name, weight, limit=10.0):
    return Member(
        name=name,
        architecture=f"net-{name}",
        input=name,
        normalization=HALF,
        weight=weight,
        limit=limit,
        weights=entry(f"{name}.safetensors"),
    )


def thresholds(budget, ai_above):
    return Thresholds(real_below=0.2, ai_above=ai_above, false_accusation_budget=budget)


@pytest.fixture(scope="session")
def manifest():
    embedding = EmbeddingSpec(dim=3, fitted_on="train", photos=100, explained_variance=0.8)
    return ModelManifest(
        schema_version=2,
        name="detector",
        version="1.0.0",
        architecture="net-view&net-tiles",
        created_at=datetime(2026, 11, 30, tzinfo=UTC),
        preprocess=StackSpec(size=32, tiles=2),
        members=(member("view", 0.7), member("tiles", 0.3)),
        trunk=Trunk(
            architecture="net", blocks=3, file=entry(f"{'0' * 64}.safetensors"), embedding=embedding
        ),
        calibration=Calibration(temperature=1.0, bias=0.0),
        thresholds=thresholds(0.01, 0.9),
        operating_points=(OperatingPoint(thresholds=thresholds(0.05, 0.6)),),
        files=PackageFiles(evaluation=entry("evaluation.json")),
        training=TrainingRecord(
            seed=1,
            git_revision=None,
            data_fingerprint="0" * 64,
            n_train=10,
            n_calibration=5,
            base_weights="CLIP",
        ),
    )
