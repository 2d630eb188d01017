"""Bad files, a stand-in for the worker's writes, and raw connections."""

import io
import json
import socket
import struct
import zlib
from typing import Any, Self
from uuid import UUID

import httpx
from sqlalchemy import text

from shared.contracts.errors import IMAGE_ERROR_HELP, ImageErrorCode
from shared.contracts.states import Label
from shared.db.engine import SessionFactory
from shared.db.jobs import leases, results

MODEL = "b0-test.1"


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that ends with its header."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body
    return head + struct.pack(">I", zlib.crc32(body)) + b"\0\0\0\0IDAT"


def gif_bomb() -> bytes:
    """Return a GIF of a few bytes whose screen has 4.3 gigapixels."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0)
    return screen + frame + b"\x02\x02\x4c\x01\x00\x3b"


def image_files(*contents: tuple[str, bytes], field: str = "images") -> list[Any]:
    """Return httpx's `files` for (name, bytes) pairs."""
    return [(field, (name, data, "image/jpeg")) for name, data in contents]


def slug(response: httpx.Response) -> str:
    """Return the problem type's last part; the body's status agrees with the answer's."""
    body = response.json()
    assert body["status"] == response.status_code
    assert body["request_id"] == response.headers["x-request-id"]
    return str(body["type"]).removeprefix("/problems/")


def count(sessions: SessionFactory, table: str) -> int:
    """Return how many rows `table` has."""
    with sessions() as session:
        return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def judge(
    sessions: SessionFactory,
    job_id: str,
    probability: float = 0.9,
    label: Label = Label.AI_GENERATED,
    failed: ImageErrorCode | None = None,
) -> None:
    """Lease and settle the job's waiting images, with the statements that a worker uses."""
    with sessions.begin() as session:
        ids = session.execute(
            text("SELECT id FROM images WHERE job_id = :id AND status = 'queued'"),
            {"id": UUID(job_id)},
        )
        lease = leases.acquire(session, list(ids.scalars()), 30)
        outcomes: list[results.Judged | results.Failed] = [
            results.Failed(image.id, failed, IMAGE_ERROR_HELP[failed])
            if failed
            else results.Judged(image.id, MODEL, label, probability, probability, 0.0)
            for image in lease.images
        ]
        results.settle(session, lease.id, outcomes)


class RawConnection:
    """A TCP connection that sends what it is told and reads one answer."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def begin_post(self, path: str, key: str, *headers: str) -> None:
        """Send the header of an upload."""
        lines = [
            f"POST {path} HTTP/1.1",
            "Host: test",
            f"Authorization: Bearer {key}",
            "Content-Type: multipart/form-data; boundary=x",
            *headers,
        ]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def answer(self) -> tuple[int, dict[str, str], Any]:
        """Return (status, headers, JSON body) of an answer with a Content-Length."""
        buffer = io.BytesIO()
        while b"\r\n\r\n" not in buffer.getvalue():
            data = self.socket.recv(65536)
            assert data, f"closed after {buffer.getvalue()!r}"
            buffer.write(data)
        head, _, body = buffer.getvalue().partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        while len(body) < int(headers["content-length"]):
            body += self.socket.recv(65536)
        return int(status.split()[1]), headers, json.loads(body)

    def is_closed_within(self, seconds: float) -> bool:
        """Return whether the server ends the connection in time."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True
