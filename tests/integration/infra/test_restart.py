"""A later start finds the data again, on the same ports where they are free."""

import io
import json
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing

from infra.local import Stack
from tests.integration.infra.clients import Store, connect

MakeStack = Callable[..., Stack]


def _write(stack: Stack) -> None:
    with connect(stack.urls) as connection:
        connection.execute("CREATE TABLE kept (value int)")
        connection.execute("INSERT INTO kept VALUES (42)")
    with Store(stack.urls) as store:
        store.make_bucket("kept")
        store.put_object("kept", "photo", io.BytesIO(b"bytes"), 5)


def _read(stack: Stack) -> tuple[int, bytes]:
    with connect(stack.urls) as connection:
        value = connection.execute("SELECT value FROM kept").fetchone()[0]
    with Store(stack.urls) as store, store.get_object("kept", "photo") as response:
        return value, response.read()


def test_a_later_start_has_the_same_data_on_the_same_ports_where_they_are_free(
    make_stack: MakeStack,
) -> None:
    """Also each inner port of SeaweedFS may move, though its files name those of earlier starts.

    The path is longer than the 107 bytes of a socket's; the control socket then lies elsewhere.
    """
    stack = make_stack("long-" * 20)
    first = stack.start_servers()
    _write(stack)
    stack.stop()
    assert stack.start_servers() == first
    assert _read(stack) == (42, b"bytes")
    stack.stop()
    ports = json.loads(stack.layout.state.read_text())["ports"]
    with ExitStack() as holders:
        for name in set(ports) - {"valkey"}:
            holders.enter_context(socket.create_server(("127.0.0.1", ports[name])))
        third = stack.start_servers()
        assert _read(stack) == (42, b"bytes")
    assert third.redis_url == first.redis_url
    assert third.database_url != first.database_url
    assert third.s3_endpoint != first.s3_endpoint
    assert third.s3_secret_key == first.s3_secret_key


def test_a_service_port_is_the_preferred_one_or_a_stable_other(stack: Stack) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as holder:
        preferred = holder.getsockname()[1]
        other = stack.port("gateway", preferred)
        assert other != preferred
        assert stack.port("gateway", preferred) == other
    assert stack.port("gateway", preferred) == preferred
