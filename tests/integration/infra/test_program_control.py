"""Single servers can be killed, frozen and restarted while the others run on."""

import time

import pytest
import redis

from infra.local import Stack
from infra.local.errors import StartError
from tests.integration.infra.clients import Store, broker, connect

SERVERS = ("postgres", "valkey", "seaweedfs")


@pytest.mark.parametrize("name", SERVERS)
def test_a_killed_server_stays_down_until_started(stack: Stack, name: str) -> None:
    server = stack.server(name)
    before = server.pid
    server.kill()
    assert server.pid is None
    assert not server.is_ready()
    server.start()
    assert server.is_ready()
    assert server.pid not in (None, before)


def test_a_crashed_server_is_started_again_by_supervisor(stack: Stack) -> None:
    server = stack.server("postgres")
    before = server.pid
    server.kill(restart=True)
    server.wait_ready()
    assert server.pid != before


def test_a_frozen_server_does_not_answer_and_goes_on_when_thawed(stack: Stack) -> None:
    with broker(stack.urls) as client:
        client.set("kept", "yes")
        stack.server("valkey").freeze()
        with pytest.raises(redis.TimeoutError):
            client.get("kept")
        stack.server("valkey").thaw()
        assert client.get("kept") == b"yes"


def test_freezing_postgres_freezes_its_open_sessions(stack: Stack) -> None:
    with connect(stack.urls) as connection:
        stack.server("postgres").freeze()
        connection.pgconn.send_query(b"SELECT 1")
        time.sleep(0.2)
        connection.pgconn.consume_input()
        assert connection.pgconn.is_busy()
        stack.server("postgres").thaw()
        assert connection.pgconn.get_result().ntuples == 1
        assert connection.pgconn.get_result() is None


def test_a_frozen_server_can_be_restarted(stack: Stack) -> None:
    server = stack.server("seaweedfs")
    server.freeze()
    server.restart()
    with Store(stack.urls) as store:
        assert store.list_buckets() is not None


def test_waiting_for_a_frozen_server_ends_at_the_deadline(stack: Stack) -> None:
    server = stack.server("valkey")
    server.freeze()
    with pytest.raises(StartError, match="was not ready within 1 s"):
        server.wait_ready(timeout_s=1)
    server.thaw()
    server.wait_ready()
