"""A 405 names every method that its path has, whichever route each belongs to."""

import anyio
import httpx
import pytest

from infra.checks.interfaces import nowhere
from services.gateway.app import create_app


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/catalogs", {"GET", "POST"}),
        ("/jobs", {"GET", "POST"}),
        ("/jobs/0199f3c2-6f2b-7c43-9a55-3f1f8e0c7d10", {"GET", "DELETE"}),
        ("/predict", {"POST"}),
    ],
)
def test_allow_names_the_methods_of_every_route(path, allowed):
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(nowhere()))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await client.put(path)

    response = anyio.run(ask)
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) >= allowed
    assert "PUT" not in response.headers["allow"]
