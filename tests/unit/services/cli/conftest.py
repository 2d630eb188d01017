import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.cli import main
from tests.support.fake_gateway import KEY, FakeGateway


@dataclass(frozen=True)
class Result:
    """What one run of `detector` left."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No gateway, no servers, and an empty local directory, which is returned."""
    local = tmp_path / "local"
    local.mkdir()
    for name in ("URL", "API_KEY", "DATABASE_URL", "REDIS_URL", "S3_ENDPOINT", "MODEL_DIR"):
        monkeypatch.delenv(f"DETECTOR_{name}", raising=False)
    monkeypatch.setenv("DETECTOR_LOCAL_DIR", str(local))
    return local


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGateway]:
    with FakeGateway() as fake:
        monkeypatch.setenv("DETECTOR_URL", fake.url)
        monkeypatch.setenv("DETECTOR_API_KEY", KEY)
        yield fake


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def run_detector(*arguments: Any) -> Result:
        monkeypatch.setattr(sys, "argv", ["detector", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        captured = capsys.readouterr()
        code = ended.value.code
        return Result(
            code if isinstance(code, int) else int(bool(code)), captured.out, captured.err
        )

    return run_detector


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A directory of seven photos, one of which fails, and things that are none."""
    root = tmp_path / "photos"
    for name in [
        "ai_1.jpg",
        "bad.jpg",
        "real_1.JPG",
        "sub/ai_2.png",
        "sub/deep/real_2.webp",
        "sub/maybe.gif",
        "sub/real_3.avif",
        "notes.txt",
        ".hidden.jpg",
        ".git/object.jpg",
    ]:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root
