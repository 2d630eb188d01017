"""Metadata beside pixels: evidence, conclusive claims, and faults that touch nobody."""

from dataclasses import replace

import pytest

from services.worker.engines.select import load_engine
from services.worker.inference.pipeline import InferencePipeline
from services.worker.provenance.decide import Conclusive
from services.worker.provenance.verdict import Provenance
from services.worker.settings import WorkerSettings
from shared.contracts.states import Label
from shared.core.ids import new_id
from shared.db.jobs.results import Judged
from shared.ml.errors import PackageError
from shared.ml.package import load_package
from shared.storage.memory import MemoryObjectStore
from tests.support.photos import jpeg, samples
from tests.support.signing import Authority, manifest, says_generated
from tests.unit.services.worker.inference.test_pipeline import leased


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def generated(authority) -> bytes:
    return authority.sign(jpeg(1), manifest("trainedAlgorithmicMedia"))


@pytest.fixture
def provenance(authority, tmp_path):
    """A function that makes a Provenance which trusts the authority."""
    anchors = tmp_path / "anchors.pem"
    anchors.write_text(authority.pem)
    made = []

    def make(rule=Conclusive.TRUSTED, trusting=True, seconds=30.0):
        made.append(Provenance(rule, anchors if trusting else None, seconds))
        return made[-1]

    yield make
    for each in made:
        each.close()


def real() -> Judged:
    reencode = {"kind": "reencode"}
    return Judged(new_id(), "m", Label.REAL, 0.04, 0.96, -3.0, [reencode])


def test_a_trusted_claim_decides_and_keeps_what_the_pixels_gave(provenance, generated):
    trusting = provenance()

    judged = trusting.conclude(real(), trusting.read(generated))

    assert (judged.label, judged.probability, judged.confidence) == (Label.AI_GENERATED, 1.0, 1.0)
    assert judged.logit == -3.0
    assert [entry["kind"] for entry in judged.evidence] == ["reencode", "c2pa", "conclusion"]
    assert judged.evidence[-1]["pixels"] == {
        "label": "real",
        "probability": 0.04,
        "confidence": 0.96,
    }
    assert "Test Organization" in judged.evidence[-1]["detail"]


@pytest.mark.parametrize(
    ("rule", "trusting", "label"),
    [
        (Conclusive.TRUSTED, False, Label.REAL),
        (Conclusive.SIGNED, False, Label.AI_GENERATED),
        (Conclusive.NEVER, True, Label.REAL),
    ],
)
def test_the_rule_says_whose_claim_decides(provenance, generated, rule, trusting, label):
    chosen = provenance(rule, trusting)

    judged = chosen.conclude(real(), chosen.read(generated))

    assert judged.label is label
    assert judged.evidence[1]["says"] == "ai_generated"


def test_a_plain_statement_decides_unless_told_otherwise(provenance):
    photo = says_generated(jpeg(1))
    trusting = provenance(Conclusive.TRUSTED)
    usual = Provenance()

    assert trusting.conclude(real(), trusting.read(photo)).label is Label.REAL
    assert usual.conclude(real(), usual.read(photo)).label is Label.AI_GENERATED
    usual.close()


def test_the_earlier_name_of_a_rule_is_accepted(monkeypatch):
    for name in ("DATABASE_URL", "REDIS_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY"):
        monkeypatch.setenv(f"DETECTOR_{name}", "http://unused")
    chosen = {}
    for value in ("declared", "stated", "trusted", "signed", "never"):
        monkeypatch.setenv("DETECTOR_WORKER_PROVENANCE_CONCLUSIVE", value)
        chosen[value] = WorkerSettings().worker_provenance_conclusive.value

    assert chosen.pop("declared") == "stated"
    assert all(value == name for name, value in chosen.items())
    monkeypatch.delenv("DETECTOR_WORKER_PROVENANCE_CONCLUSIVE")
    assert WorkerSettings().worker_provenance_conclusive is Conclusive.STATED


@pytest.mark.parametrize("rule", list(Conclusive))
@pytest.mark.parametrize("label", [Label.AI_GENERATED, Label.UNCERTAIN])
def test_no_metadata_makes_a_photo_real(provenance, authority, rule, label):
    chosen = provenance(rule)
    camera = authority.sign(jpeg(2), manifest("digitalCapture"))
    judged = replace(real(), label=label, probability=0.9)

    result = chosen.conclude(judged, chosen.read(camera))

    assert (result.label, result.probability) == (label, 0.9)
    assert result.evidence[1]["says"] == "camera"


def test_anchors_that_are_none_are_refused_at_the_start(tmp_path):
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(PackageError, match="TRUST_ANCHORS"):
        Provenance(anchors=tmp_path / "empty.pem")
    with pytest.raises(PackageError, match="cannot be read"):
        Provenance(anchors=tmp_path / "missing.pem")


def test_what_it_was_judged_with_names_the_anchors(provenance):
    assert provenance(trusting=False).facts == {
        "conclusive": "trusted",
        "reading": 2,
        "trust_anchors_sha256": None,
    }
    assert len(provenance().facts["trust_anchors_sha256"]) == 64


def test_a_manifest_that_hangs_costs_a_batch_nothing_but_time(provenance, generated, monkeypatch):
    """G4: each photo of the batch is judged as it is without the hanging reader."""
    settings = WorkerSettings(
        database_url="postgresql+psycopg://unused",
        redis_url="redis://unused",
        s3_endpoint="http://unused",
        s3_access_key="unused",
        s3_secret_key="unused",
        worker_engine="openvino",
    )
    package = load_package(settings.model_dir)
    store = MemoryObjectStore()
    hanging = provenance(seconds=0.3)
    monkeypatch.setattr(hanging._reader._manifests, "_module", "tests.support.hanging_child")
    pipeline = InferencePipeline(
        store, package, load_engine(package, settings), 4, 2, 0.005, 50_000_000, provenance=hanging
    )
    photos = [generated, samples()[0][1], generated, jpeg(5)]
    try:
        outcomes = list(pipeline.run([leased(store, photo) for photo in photos]))
        heatmap = pipeline.explain(photos[1])
    finally:
        pipeline.close()

    assert all(isinstance(outcome, Judged) for outcome in outcomes)
    strengths = [[e["strength"] for e in o.evidence if e["kind"] == "c2pa"] for o in outcomes]
    assert strengths == [["unread"], [], ["unread"], []]
    assert heatmap.png.startswith(b"\x89PNG")
    assert heatmap.logit == pytest.approx(outcomes[1].logit, abs=1e-3)
