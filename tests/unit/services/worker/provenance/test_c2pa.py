"""C2PA manifests signed here with the official library: integrity, trust, claims, and faults."""

import os
import signal
import time

import pytest

from services.worker.provenance.c2pa import ManifestReader
from services.worker.provenance.c2pa_process import settings
from services.worker.provenance.decide import Conclusive, conclusive
from services.worker.provenance.findings import Finding, Kind, Says, Strength
from services.worker.provenance.reader import ProvenanceReader
from tests.support.photos import jpeg
from tests.support.signing import CLAIM_SIGNING, Authority, manifest, says_generated

GENERATED = "trainedAlgorithmicMedia"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def reader(authority):
    reader = ProvenanceReader(ManifestReader(authority.pem, seconds=30))
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def generated(authority) -> bytes:
    return authority.sign(jpeg(1), manifest(GENERATED))


def read(reader: ProvenanceReader, data: bytes) -> Finding:
    first, *_ = reader.read(data)
    assert first.kind == "c2pa"
    return first


def test_an_intact_claim_of_a_trusted_signer(reader, generated):
    found = read(reader, generated)

    assert (found.says, found.strength) == (Says.AI_GENERATED, Strength.SIGNED_TRUSTED)
    assert found.found["integrity"] == "intact"
    assert found.found["signer"]["trust"] == "trusted"
    assert found.found["signer"]["issuer"] == "Test Organization"
    assert found.found["digital_source_types"] == [GENERATED]
    assert found.found["failures"] == []
    assert Finding.from_entry(found.entry()) == found


def test_another_authority_is_intact_and_untrusted(reader):
    found = read(reader, Authority("Stranger").sign(jpeg(1), manifest(GENERATED)))

    assert (found.says, found.strength) == (Says.AI_GENERATED, Strength.SIGNED)
    assert found.found["integrity"] == "intact"
    assert found.found["signer"]["trust"] == "untrusted"


def test_without_anchors_nobody_is_trusted(generated):
    manifests = ManifestReader(seconds=30)
    try:
        found = manifests.read(generated, "image/jpeg")
    finally:
        manifests.close()

    assert found is not None
    assert found.strength == Strength.SIGNED


@pytest.mark.parametrize("where", ["pixels", "claim"])
def test_a_changed_file_is_broken_whoever_signed_it(reader, generated, where):
    changed = bytearray(generated)
    changed[-50 if where == "pixels" else generated.find(GENERATED.encode())] ^= 1

    found = read(reader, bytes(changed))

    assert found.strength == Strength.BROKEN
    assert found.found["integrity"] == "broken"
    assert found.found["signer"]["trust"] == "trusted"
    assert found.found["failures"]


def test_the_purpose_of_claim_signing_is_accepted(reader, authority):
    signed = authority.sign(jpeg(2), manifest(GENERATED), purpose=CLAIM_SIGNING)

    assert read(reader, signed).strength == Strength.SIGNED_TRUSTED


@pytest.mark.parametrize(
    ("source_type", "says"),
    [
        ("compositeWithTrainedAlgorithmicMedia", Says.AI_EDITED),
        ("digitalCapture", Says.CAMERA),
        ("digitalArt", Says.NOTHING),
    ],
)
def test_claims(reader, authority, source_type, says):
    found = read(reader, authority.sign(jpeg(3), manifest(source_type)))

    assert (found.says, found.strength) == (says, Strength.SIGNED_TRUSTED)


def test_generated_parts_of_a_photo_do_not_make_it_generated(reader, authority):
    claims = manifest(GENERATED, "c2pa.edited", parent="parent")

    found = read(reader, authority.sign(jpeg(3), claims, parent=jpeg(3)))

    assert (found.says, found.strength) == (Says.AI_EDITED, Strength.SIGNED_TRUSTED)


def test_an_edited_generated_image_is_still_generated(reader, authority, generated):
    edited = authority.sign(jpeg(9), manifest("", parent="parent"), parent=generated)

    found = read(reader, edited)

    assert (found.says, found.strength) == (Says.AI_GENERATED, Strength.SIGNED_TRUSTED)
    assert found.found["manifests"] == 2


def test_an_untrusted_parent_makes_the_claim_untrusted(reader, authority):
    parent = Authority("Stranger").sign(jpeg(1), manifest(GENERATED))
    edited = authority.sign(jpeg(9), manifest("", parent="parent"), parent=parent)

    found = read(reader, edited)

    assert (found.says, found.strength) == (Says.AI_GENERATED, Strength.SIGNED)


@pytest.mark.parametrize(
    ("strength", "rules"),
    [
        (Strength.SIGNED_TRUSTED, {"trusted", "signed", "stated"}),
        (Strength.SIGNED, {"signed", "stated"}),
        (Strength.BROKEN, set()),
        (Strength.UNREAD, set()),
    ],
)
def test_which_signed_claims_decide(strength, rules):
    found = Finding(Kind.C2PA, Says.AI_GENERATED, strength, "")

    assert {rule for rule in Conclusive if conclusive([found], rule)} == rules


@pytest.mark.parametrize(
    ("kind", "rules"),
    [
        (Kind.DIGITAL_SOURCE_TYPE, {"stated"}),
        (Kind.AIGC_LABEL, {"stated"}),
        (Kind.GENERATOR_PARAMETERS, {"stated"}),
        (Kind.SOFTWARE, set()),
        (Kind.CAMERA, set()),
        (Kind.PROVENANCE, set()),
    ],
)
def test_which_plain_fields_decide(kind, rules):
    found = Finding(kind, Says.AI_GENERATED, Strength.DECLARED, "")

    assert {rule for rule in Conclusive if conclusive([found], rule)} == rules


@pytest.mark.parametrize("says", [Says.CAMERA, Says.AI_EDITED, Says.NOTHING])
def test_only_a_claim_of_generation_decides(says):
    found = Finding(Kind.C2PA, says, Strength.SIGNED_TRUSTED, "")

    assert not any(conclusive([found], rule) for rule in Conclusive)


def test_a_damaged_manifest_is_unread_and_leaves_the_rest(reader, generated):
    start = generated.find(b"jumb")
    damaged = generated[: start + 40] + b"\xff" * 60 + generated[start + 100 :]

    found = reader.read(says_generated(damaged))

    assert found[0].strength in (Strength.UNREAD, Strength.BROKEN)
    assert "digital_source_type" in {each.kind for each in found}


def test_nothing_is_fetched():
    chosen = settings("")

    assert chosen["verify"]["remote_manifest_fetch"] is False
    assert chosen["verify"]["ocsp_fetch"] is False
    assert chosen["core"]["allowed_network_hosts"] == []


def test_a_hanging_reader_is_killed_and_the_next_one_works(authority, generated):
    manifests = ManifestReader(authority.pem, seconds=30)
    try:
        assert manifests.read(generated, "image/jpeg")
        hung = manifests._child
        os.kill(hung.pid, signal.SIGSTOP)
        manifests._seconds = 0.3
        started = time.monotonic()
        found = manifests.read(generated, "image/jpeg")
        assert time.monotonic() - started < 5
        assert found.strength == Strength.UNREAD
        assert "too long" in found.detail
        assert hung.poll() is not None
        manifests._seconds = 30
        assert manifests.read(generated, "image/jpeg").strength == Strength.SIGNED_TRUSTED
    finally:
        manifests.close()


def test_a_killed_reader_fails_one_manifest_at_most(authority, generated):
    manifests = ManifestReader(authority.pem, seconds=30)
    try:
        assert manifests.read(generated, "image/jpeg")
        os.kill(manifests._child.pid, signal.SIGKILL)
        outcomes = [manifests.read(generated, "image/jpeg").strength for _ in range(3)]
        assert outcomes[1:] == [Strength.SIGNED_TRUSTED] * 2
    finally:
        manifests.close()


def test_a_reader_that_cannot_start_is_unread(generated):
    manifests = ManifestReader(module="services.worker.provenance.missing", seconds=10)
    found = manifests.read(generated, "image/jpeg")
    manifests.close()

    assert found.strength == Strength.UNREAD
