"""Signing secrets, sealed."""

import base64

import pytest

from shared.keys.secret_keys import new_secret_key
from shared.keys.signing_secrets import SecretBox, SecretUnreadable, new_secret


def test_a_secret_has_the_standards_form_and_is_never_the_same():
    first, second = new_secret(), new_secret()
    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 32
    assert first != second


def test_what_one_key_sealed_opens_with_it_also_after_a_new_one_came_first():
    old, new, secret = new_secret_key(), new_secret_key(), new_secret()
    sealed = SecretBox(old).seal(secret)
    assert secret.encode() not in sealed
    both = SecretBox(f"{new}, {old}")
    assert both.open(sealed) == secret
    assert SecretBox(new).open(both.seal(secret)) == secret
    with pytest.raises(SecretUnreadable):
        SecretBox(new).open(sealed)


def test_of_several_those_that_can_be_read_are():
    box, other = SecretBox(new_secret_key()), SecretBox(new_secret_key())
    mine, theirs = box.seal("a"), other.seal("b")
    assert box.open_readable([theirs, mine]) == ["a"]
    with pytest.raises(SecretUnreadable):
        box.open_readable([theirs])


@pytest.mark.parametrize("keys", ["", "abc", "zz" * 32, "00" * 31, "00" * 33, "00" * 32 + ","])
def test_keys_that_are_none_are_refused_with_the_command_that_makes_one(keys):
    with pytest.raises(ValueError, match="openssl rand -hex 32"):
        SecretBox(keys)
