"""Ports and secrets are kept between starts."""

import json
import socket
import stat
from pathlib import Path

from infra.local.directory.layout import Layout
from infra.local.directory.state import (
    GRPC_OFFSET,
    State,
    assign_ports,
    is_free,
    load_secrets,
    load_state,
    store_state,
)


def _state(layout: Layout) -> State:
    state = load_state(layout)
    assign_ports(state, ["one", "two"])
    store_state(layout, state)
    return state


def test_a_port_stays_while_it_is_free(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    first = _state(layout)
    second = _state(layout)
    assert second == first
    assert first.ports["one"] != first.ports["two"]


def test_a_taken_port_is_replaced_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    first = dict(_state(layout).ports)
    with socket.create_server(("127.0.0.1", first["one"] + GRPC_OFFSET)):
        second = _state(layout).ports
    assert second["one"] != first["one"]
    assert second["two"] == first["two"]


def test_a_port_of_another_name_is_not_given_twice(tmp_path: Path) -> None:
    state = State("id", {"one": 12_345, "two": 12_345})
    assign_ports(state, ["two"])
    assert state.ports["two"] != 12_345


def test_a_listening_port_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free(server.getsockname()[1])
    assert not is_free(70_000)


def test_secrets_are_generated_once_and_differ_between_directories(tmp_path: Path) -> None:
    first, other = Layout(tmp_path / "first"), Layout(tmp_path / "other")
    for layout in (first, other):
        layout.root.mkdir()
    assert load_secrets(first) == load_secrets(first)
    assert load_secrets(first) != load_secrets(other)
    assert stat.S_IMODE(first.secrets.stat().st_mode) == 0o600


def test_a_secret_of_a_later_version_is_added_and_the_others_stay(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    earlier = {name: name for name in ("postgres_password", "valkey_password")}
    earlier |= {"s3_access_key": "a", "s3_secret_key": "s"}
    layout.secrets.write_text(json.dumps(earlier))
    first = load_secrets(layout)
    assert first.postgres_password == "postgres_password"
    assert len(bytes.fromhex(first.webhook_secret_key)) == 32
    assert len(bytes.fromhex(first.evidence_key)) == 32
    assert load_secrets(layout) == first
