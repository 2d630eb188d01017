"""The gateway dies under load: what it answered 202 to is judged, what it did not is not there."""

import threading

import httpx
from sqlalchemy import text

from tests.support.checker import check_all_succeeded
from tests.support.photos import jpeg
from tests.support.processes import wait_until


def test_kill_9_under_load_keeps_every_202_and_nothing_half(make_system, sessions):
    system = make_system()
    gateway = system.gateway()
    system.maintenance()
    system.worker()
    accepted: list[dict] = []
    broken: list[Exception] = []
    stop = threading.Event()

    def submit_all_the_time(start: int) -> None:
        number = start
        while not stop.is_set():
            number += 1
            try:
                response = system.api.submit([(f"{number}.jpg", jpeg(number, 640, 480))])
            except httpx.TransportError as error:
                broken.append(error)
                stop.wait(0.1)
                continue
            assert response.status_code == 202, response.text
            accepted.append(response.json())

    clients = [threading.Thread(target=submit_all_the_time, args=(n * 10_000,)) for n in range(4)]
    for client in clients:
        client.start()
    try:
        wait_until(lambda: len(accepted) >= 8, 30, "eight jobs are accepted")
        gateway.kill()
        system.gateway()
        before = len(accepted)
        wait_until(lambda: len(accepted) >= before + 8, 60, "jobs are accepted again")
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert broken, "the clients noticed nothing: the kill came too late"
    with sessions() as session:
        # A commit whose answer was lost is a job that nobody knows of: it is judged all the same.
        known = {body["id"] for body in accepted}
        rows = session.execute(text("SELECT id::text FROM jobs")).scalars().all()
        orphans = [{"id": job_id} for job_id in rows if job_id not in known]
        assert known <= set(rows)
        assert len(orphans) <= len(clients)
        check_all_succeeded(system.api, session, [*accepted, *orphans])
