"""The broker is emptied, restarted, frozen: it is only a delivery hint."""

import redis

from tests.support.checker import check_all_succeeded
from tests.support.photos import jpeg
from tests.support.processes import wait_until


def photos(start: int, count: int) -> list[tuple[str, bytes]]:
    return [(f"{number}.jpg", jpeg(number)) for number in range(start, start + count)]


def test_flushall_with_jobs_waiting_loses_nothing(make_system, sessions):
    system = make_system()
    system.gateway()
    system.maintenance()
    accepted = [system.api.accepted(photos(10 * number, 10)) for number in range(5)]
    with redis.Redis.from_url(system.servers.redis_url) as client:
        wait_until(lambda: client.llen("inference") == 5, 10, "all five chunks are in the broker")
        client.flushall()
        system.worker()
        client.flushall()
    with sessions() as session:
        check_all_succeeded(system.api, session, accepted)


def test_jobs_are_accepted_while_the_broker_is_down_and_judged_when_it_is_back(
    make_system, sessions, server_stack
):
    system = make_system()
    system.gateway()
    system.maintenance()
    system.worker()
    valkey = server_stack.server("valkey")
    accepted = [system.api.accepted(photos(0, 4))]
    valkey.kill()
    try:
        accepted.append(system.api.accepted(photos(10, 4)))
        accepted.append(system.api.accepted(photos(20, 4)))
    finally:
        valkey.restart()
    accepted.append(system.api.accepted(photos(30, 4)))
    with sessions() as session:
        check_all_succeeded(system.api, session, accepted)


def test_a_frozen_broker_delays_no_202_and_loses_nothing(make_system, sessions, server_stack):
    system = make_system()
    system.gateway()
    system.maintenance()
    system.worker()
    system.api.finished(system.api.accepted(photos(0, 1))["id"])
    valkey = server_stack.server("valkey")
    valkey.freeze()
    try:
        responses = [system.api.submit(photos(10 * n, 2)) for n in range(1, 4)]
    finally:
        valkey.thaw()
    assert [response.status_code for response in responses] == [202] * 3
    # Publishing would have waited 10 s.
    assert max(response.elapsed.total_seconds() for response in responses) < 8
    accepted = [response.json() for response in responses]
    for body in accepted:
        assert system.api.finished(body["id"], 90)["status"] == "succeeded"
