from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from tests.support.fake_gateway import KEY, FakeGateway


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No gateway is known, and nothing is remembered of an earlier test."""
    monkeypatch.setenv("DETECTOR_LOCAL_DIR", str(tmp_path))
    for name in ("DETECTOR_URL", "DETECTOR_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    st.cache_data.clear()


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGateway]:
    with FakeGateway() as fake:
        monkeypatch.setenv("DETECTOR_URL", fake.url)
        monkeypatch.setenv("DETECTOR_API_KEY", KEY)
        yield fake
