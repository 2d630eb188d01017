"""PostgreSQL and the object store go away under load and come back."""

import threading

from tests.support.checker import check_all_succeeded
from tests.support.photos import jpeg
from tests.support.processes import wait_until


def photos(start: int, count: int) -> list[tuple[str, bytes]]:
    return [(f"{number}.jpg", jpeg(number, 640, 480)) for number in range(start, start + count)]


def test_postgres_killed_under_load_loses_no_accepted_job(make_system, sessions, server_stack):
    system = make_system()
    system.gateway()
    system.maintenance()
    system.worker()
    accepted, refused = [], []
    stop = threading.Event()

    def submit_all_the_time():
        number = 0
        while not stop.is_set():
            number += 1
            response = system.api.submit(photos(10 * number, 4))
            (accepted if response.status_code == 202 else refused).append(response)

    client = threading.Thread(target=submit_all_the_time)
    client.start()
    postgres = server_stack.server("postgres")
    try:
        wait_until(lambda: len(accepted) >= 3, 30, "three jobs are accepted")
        postgres.kill()
        postgres.restart()
        before = len(accepted)
        wait_until(lambda: len(accepted) >= before + 3, 60, "jobs are accepted again")
    finally:
        stop.set()
        client.join()
    assert {response.status_code for response in refused} <= {503}
    assert all("retry-after" in response.headers for response in refused)
    with sessions() as session:
        check_all_succeeded(system.api, session, [response.json() for response in accepted])


def test_while_the_object_store_is_away_new_photos_are_refused_and_old_ones_wait(
    make_system, sessions, server_stack
):
    system = make_system({"DETECTOR_S3_TIMEOUT_SECONDS": "2"})
    system.gateway()
    system.maintenance()
    accepted = [system.api.accepted(photos(0, 4))]
    weed = server_stack.server("seaweedfs")
    weed.kill()
    try:
        worker = system.worker()
        worker.wait_for_line("outcome_postponed")
        refusal = system.api.submit(photos(10, 2))
        assert refusal.status_code == 503
        assert refusal.headers["content-type"] == "application/problem+json"
        assert int(refusal.headers["retry-after"]) > 0
    finally:
        weed.restart()
    with sessions() as session:
        check_all_succeeded(system.api, session, accepted)
