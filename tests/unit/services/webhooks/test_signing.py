"""Signatures that the official library accepts, and nothing else's."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from services.webhooks.signing import signed_headers
from shared.keys.signing_secrets import new_secret


def test_the_specifications_example():
    # https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/python/tests
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(number=st.integers(), text=st.text())
def test_the_official_library_accepts_each_secrets_signature(number, text):
    secrets = [new_secret(), new_secret()]
    body = json.dumps({"number": number, "text": text}).encode()
    headers = signed_headers("id", int(time.time()), body, secrets)
    for secret in secrets:
        assert Webhook(secret).verify(body, headers) == {"number": number, "text": text}
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify(body + b" ", headers)
