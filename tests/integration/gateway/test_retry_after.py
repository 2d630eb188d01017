"""`Retry-After` tells how long the queue takes, between a second and a minute."""

import time

import pytest
from sqlalchemy import text

from tests.integration.gateway.helpers import image_files
from tests.support.photos import jpeg

PHOTO = image_files(("a.jpg", jpeg(0)))


def make_older(gateway, seconds: float) -> None:
    """Let every waiting photo have waited for so long."""
    with gateway.sessions.begin() as session:
        session.execute(
            text(
                "UPDATE images SET enqueued_at = now() - make_interval(secs => :seconds)"
                " WHERE status = 'queued'"
            ),
            {"seconds": seconds},
        )


@pytest.mark.parametrize(("age", "told"), [(0.0, range(1, 2)), (20.0, range(19, 25))])
def test_a_queue_that_stands_still_for_so_long_is_worth_a_look_after_as_long(
    start_gateway, age, told
):
    with start_gateway() as gateway, gateway.client() as client:
        accepted = client.post("/jobs", files=PHOTO)
        make_older(gateway, age)
        assert _settled(client, accepted.json()["links"]["self"], told)
        assert int(client.post("/jobs", files=PHOTO).headers["retry-after"]) in told
        client.delete(accepted.json()["links"]["self"])


def test_nobody_is_sent_away_for_more_than_a_minute(start_gateway):
    with start_gateway() as gateway, gateway.client() as client:
        accepted = client.post("/jobs", files=PHOTO)
        make_older(gateway, 4000.0)
        assert _settled(client, accepted.json()["links"]["self"], range(60, 61))


def _settled(client, path: str, told: range) -> bool:
    """Tell whether the measurement, which is renewed behind answers, comes to lie in `told`."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if int(client.get(path).headers["retry-after"]) in told:
            return True
        time.sleep(0.2)
    return False
