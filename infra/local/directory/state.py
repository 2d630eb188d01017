"""What a stack keeps between starts: its id, its ports and its generated secrets."""

import json
import random
import secrets
import socket
from dataclasses import asdict, dataclass, field, fields
from uuid import uuid4

from infra.local.directory.layout import Layout
from infra.local.directory.private_file import write_private
from shared.keys.secret_keys import new_secret_key

# Below the usual ephemeral range (32768-60999), so that no outgoing connection sits on a port
# between two starts. SeaweedFS uses port + 10000 for gRPC beside each port, hence the end.
_PORT_RANGE = range(12_000, 22_000)
GRPC_OFFSET = 10_000


@dataclass(frozen=True)
class Secrets:
    """Generated on first start; hexadecimal, so they need no quoting in a URL or a file."""

    postgres_password: str
    valkey_password: str
    s3_access_key: str
    s3_secret_key: str
    # Encrypts webhooks' signing secrets: with another one those in the database are unreadable.
    webhook_secret_key: str = field(default_factory=new_secret_key)
    # Signs evidence bundles: those already handed out are checked with its public half.
    evidence_key: str = field(default_factory=new_secret_key)


@dataclass
class State:
    """`stack_id` names this directory's processes; `ports` maps a name to its port."""

    stack_id: str
    ports: dict[str, int] = field(default_factory=dict)


def load_secrets(layout: Layout) -> Secrets:
    """Return the stack's secrets, generating and storing them (mode 0600) on first use."""
    stored: dict[str, str] = (
        json.loads(layout.secrets.read_text()) if layout.secrets.exists() else {}
    )
    if stored.keys() == {each.name for each in fields(Secrets)}:
        return Secrets(**stored)
    # What an earlier version did not have yet is generated beside what it had.
    generated = Secrets(**(_new_servers_secrets() | stored))
    write_private(layout.secrets, json.dumps(asdict(generated), indent=1) + "\n")
    return generated


def _new_servers_secrets() -> dict[str, str]:
    return {
        "postgres_password": secrets.token_hex(24),
        "valkey_password": secrets.token_hex(24),
        "s3_access_key": secrets.token_hex(10),
        "s3_secret_key": secrets.token_hex(24),
    }


def load_state(layout: Layout) -> State:
    """Return the stored state, or a new one on first use."""
    if layout.state.exists():
        return State(**json.loads(layout.state.read_text()))
    return State(stack_id=uuid4().hex)


def store_state(layout: Layout, state: State) -> None:
    """Keep the state for the next start."""
    write_private(layout.state, json.dumps(asdict(state), indent=1) + "\n")


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Say whether a server could listen on `host`:`port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port in TIME_WAIT is free, one that is listened on is not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):
            return False
    return True


def assign_ports(state: State, names: list[str]) -> None:
    """Give each name in `names` a port: the one of the last start where that is still free.

    Both the port and port + GRPC_OFFSET are free at the time of the call.
    """
    taken = {port for name, port in state.ports.items() if name not in names}
    for name in names:
        port = state.ports.get(name)
        while port is None or port in taken or not (is_free(port) and is_free(port + GRPC_OFFSET)):
            port = random.choice(_PORT_RANGE)
        taken.add(port)
        state.ports[name] = port
