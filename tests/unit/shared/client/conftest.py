from collections.abc import Iterator

import pytest

from shared.client.config import ClientConfig
from shared.client.http import DetectorClient
from shared.client.retry import RetryPolicy
from tests.support.fake_gateway import KEY, FakeGateway


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with FakeGateway() as fake:
        yield fake


@pytest.fixture
def client(gateway: FakeGateway) -> Iterator[DetectorClient]:
    retry = RetryPolicy(busy=5.0, unreachable=1.0, first=0.01, longest=0.05)
    with DetectorClient(ClientConfig(gateway.url, KEY), retry=retry) as client:
        yield client
