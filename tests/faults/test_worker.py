"""Workers die, are told to stop, and get the same message again."""

import random
import time

import pytest

from shared.contracts.tasks import INFER_CHUNK
from shared.queue.app import make_celery
from tests.support.checker import check_all_succeeded
from tests.support.photos import jpeg


def photos(start: int, count: int) -> list[tuple[str, bytes]]:
    return [(f"{number}.jpg", jpeg(number, 640, 480)) for number in range(start, start + count)]


@pytest.mark.timeout(420)  # twelve starts of a worker
def test_kill_9_mid_batch_ten_times_over_loses_nothing(make_system, sessions):
    system = make_system({"DETECTOR_WORKER_LEASE_SECONDS": "2"})
    system.gateway()
    system.maintenance()
    accepted = [system.api.accepted(photos(64 * number, 64)) for number in range(4)]
    moments = random.Random(7)
    for _ in range(10):
        worker = system.worker()
        # Somewhere between its first lease and its last commit.
        time.sleep(moments.uniform(0.05, 1.0))
        worker.kill()
        accepted.append(system.api.accepted(photos(1000 + len(accepted), 3)))
    system.worker()
    with sessions() as session:
        check_all_succeeded(system.api, session, accepted)


def test_sigterm_finishes_what_was_begun_and_leaves_the_rest_queued(make_system, sessions):
    system = make_system()
    system.gateway()
    first = system.worker()
    accepted = [system.api.accepted(photos(64 * number, 64)) for number in range(3)]
    first.wait_for_line("chunk.finished")
    assert first.stop() == 0
    with sessions() as session:
        # No lease is left behind: a deploy costs nobody the length of a lease.
        assert (
            session.connection()
            .exec_driver_sql("SELECT count(*) FROM images WHERE status = 'running'")
            .scalar_one()
            == 0
        )
    system.maintenance()
    system.worker()
    with sessions() as session:
        check_all_succeeded(system.api, session, accepted)


def test_a_frozen_worker_that_wakes_after_its_lease_overwrites_nothing(make_system, sessions):
    system = make_system({"DETECTOR_WORKER_LEASE_SECONDS": "1.5"})
    system.gateway()
    system.maintenance()
    frozen = system.worker()
    accepted = [system.api.accepted(photos(0, 64))]
    time.sleep(0.1)
    frozen.freeze()
    system.worker()
    with sessions() as session:
        check_all_succeeded(system.api, session, accepted)
    frozen.thaw()
    accepted.append(system.api.accepted(photos(100, 8)))
    with sessions() as session:
        check_all_succeeded(system.api, session, accepted)


def test_the_same_chunk_delivered_three_times_gives_one_verdict_per_image(make_system, sessions):
    system = make_system()
    system.gateway()
    body = system.api.accepted(photos(0, 32))
    ids = [image["id"] for image in body["images"]]
    celery = make_celery(system.servers.redis_url)
    for _ in range(3):
        celery.send_task(INFER_CHUNK, kwargs={"image_ids": ids})
    celery.close()
    worker = system.worker()
    with sessions() as session:
        check_all_succeeded(system.api, session, [body])
    worker.wait_for_line('"leased": 0')
    with sessions() as session:
        check_all_succeeded(system.api, session, [body])
