"""`detector` in this process, against servers or against the whole system."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from services.cli import main
from tests.support.packages import ONE_NETWORK
from tests.support.photo_server import PhotoServer
from tests.support.photos import jpeg, truncated_jpeg
from tests.support.receiver import Receiver
from tests.support.servers import drop, provide
from tests.support.system import System


@dataclass(frozen=True)
class Ended:
    """What one run of `detector` left."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The objects that it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def one(self) -> dict[str, Any]:
        """The one object that it printed."""
        (only,) = self.lines
        return only


Detector = Callable[..., Ended]


@pytest.fixture(scope="module")
def photo_server() -> Iterator[PhotoServer]:
    photos = {f"{number}.jpg": jpeg(number) for number in range(4)}
    with PhotoServer({**photos, "cut.jpg": truncated_jpeg(1)}) as server:
        yield server


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def system(server_stack, photo_server, receiver, tmp_path_factory) -> Iterator[System]:
    """Gateway, worker, webhooks and ingest, shared by the tests of one module."""
    own = provide(server_stack)
    extra = {
        "DETECTOR_FETCH_ALLOWED_HOSTS": photo_server.host,
        "DETECTOR_WEBHOOK_ALLOWED_HOSTS": receiver.host,
        "DETECTOR_INGEST_REFRESH_SECONDS": "0.2",
        "DETECTOR_MODEL_DIR": str(ONE_NETWORK),
    }
    system = System(own, tmp_path_factory.mktemp("cli"), extra)
    for start in (system.gateway, system.worker, system.webhooks, system.ingest):
        start()
    yield system
    system.close()
    drop(own)


@pytest.fixture
def detector(system, monkeypatch, capsysbinary) -> Detector:
    """A function that runs `detector` as the system's client."""
    monkeypatch.setenv("DETECTOR_URL", system.url)
    monkeypatch.setenv("DETECTOR_API_KEY", system.key)

    def run(*arguments: Any) -> Ended:
        monkeypatch.setattr(sys, "argv", ["detector", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        captured = capsysbinary.readouterr()
        code = ended.value.code
        status = code if isinstance(code, int) else int(bool(code))
        # Latin-1 keeps binary downloads as they are.
        return Ended(status, captured.out.decode("latin-1"), captured.err.decode())

    return run
