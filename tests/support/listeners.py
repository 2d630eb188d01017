"""Small real TCP listeners: one that counts who comes, one that answers as a test scripts it."""

import contextlib
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Listener:
    """A listening socket, its address, and how many connections it accepted."""

    host: str
    port: int
    connections: int = 0
    # What the requests read with `read_request` held.
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@contextlib.contextmanager
def listening(
    behaviour: Callable[[Listener, socket.socket], None],
    host: str = "127.0.0.1",
    port: int = 0,
    context: ssl.SSLContext | None = None,
) -> Iterator[Listener]:
    """Serve `behaviour` on `host`; `::` takes IPv4 as well."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.create_server((host, port), family=family, dualstack_ipv6=host == "::")
    listener = Listener(host, server.getsockname()[1])

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if context is None:
                behaviour(listener, connection)
            else:
                with context.wrap_socket(connection, server_side=True) as secured:
                    behaviour(listener, secured)

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            listener.connections += 1
            connection.settimeout(20)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        # `close` alone does not wake a thread in `accept`.
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


@contextlib.contextmanager
def canary(host: str = "::", port: int = 0) -> Iterator[Listener]:
    """A listener on every address of this machine that only counts."""
    with listening(lambda _listener, _connection: None, host, port) as listener:
        yield listener


def read_request(listener: Listener, connection: socket.socket) -> bytes:
    """Read one request, body included, and keep it in `listener.requests`."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += connection.recv(65536)
    listener.requests.append(head + b"\r\n\r\n" + body)
    return listener.requests[-1]


def answering(*answers: bytes) -> Callable[[Listener, socket.socket], None]:
    """Answer the connection's requests with `answers` in turn, then close it."""

    def behave(listener: Listener, connection: socket.socket) -> None:
        for answer in answers:
            if not read_request(listener, connection):
                return
            connection.sendall(answer)

    return behave


def in_turn(*answers: bytes) -> Callable[[Listener, socket.socket], None]:
    """Answer one request of each connection: the first with the first answer, and so on."""
    left = iter(answers)

    def behave(listener: Listener, connection: socket.socket) -> None:
        if read_request(listener, connection):
            connection.sendall(next(left))

    return behave


def http_answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return an HTTP/1.1 answer; underscores of header names become hyphens."""
    fields = {"Content-Length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status} Said"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def make_certificate(directory: Path, *names: str) -> tuple[Path, ssl.SSLContext]:
    """Return a PEM file that clients may trust and the context of a server with `names`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    alternatives: list[x509.GeneralName] = []
    for text in names:
        try:
            alternatives.append(x509.IPAddress(ip_address(text)))
        except ValueError:
            alternatives.append(x509.DNSName(text))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = directory / "certificate.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file = directory / "key.pem"
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key_file)
    return pem, context
