"""Ed25519 keys and signatures, against RFC 8032's own vectors."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.keys.evidence import (
    EvidenceSigner,
    is_signed,
    read_public_keys,
)
from shared.keys.secret_keys import new_secret_key

# RFC 8032, section 7.1, TEST 2.
SEED = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_the_signature_is_the_standards() -> None:
    signer = EvidenceSigner(SEED)
    assert signer.sign(b"\x72") == SIGNATURE
    assert is_signed(signer.current.pem, SIGNATURE, b"\x72")
    assert not is_signed(signer.current.pem, SIGNATURE, b"\x73")
    assert not is_signed(signer.current.pem, SIGNATURE[:-1], b"\x72")
    other = EvidenceSigner(new_secret_key())
    assert not is_signed(other.current.pem, SIGNATURE, b"\x72")


def test_the_first_key_signs_and_all_are_known() -> None:
    new = new_secret_key()
    signer = EvidenceSigner(f"{new}, {SEED}")
    assert signer.current == EvidenceSigner(new).current
    assert signer.public_keys[1] == EvidenceSigner(SEED).current
    assert is_signed(signer.current.pem, signer.sign(b"a"), b"a")


@pytest.mark.parametrize("keys", ["", "abc", "00" * 31, "00" * 32 + ",", "zz" * 32])
def test_what_is_no_seed_is_refused(keys: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        EvidenceSigner(keys)


def test_public_keys_are_read_from_pem_and_from_json() -> None:
    keys = EvidenceSigner(f"{SEED},{new_secret_key()}").public_keys
    assert read_public_keys("\n".join(key.pem for key in keys)) == keys
    assert read_public_keys(json.dumps({"data": [{"pem": key.pem} for key in keys]})) == keys
    elliptic = generate_private_key(SECP256R1()).public_key()
    pem = elliptic.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for text in ("", "no key", pem, keys[0].pem.replace("MCow", "AAAA")):
        with pytest.raises(ValueError):
            read_public_keys(text)
