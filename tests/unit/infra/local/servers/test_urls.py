"""External servers come from the environment; the stack's own addresses are not external."""

import pytest

from infra.local.directory.layout import Layout
from infra.local.directory.state import Secrets
from infra.local.errors import LocalStackError
from infra.local.servers.embedded import PORT_NAMES, EmbeddedServers
from infra.local.servers.urls import ExternalServers, ServerUrls

OWN = ServerUrls("postgresql+psycopg://own", "redis://own", "http://own", "key", "secret")


def test_addresses_that_were_written_by_the_stack_mean_its_own_servers() -> None:
    sourced = ExternalServers.from_environment(OWN.environment())
    assert sourced.without(OWN) == ExternalServers()


def test_another_address_stays_external() -> None:
    external = ExternalServers.from_environment(
        {**OWN.environment(), "DETECTOR_REDIS_URL": "redis://other"}
    )
    assert external.without(OWN) == ExternalServers(redis_url="redis://other")


def test_an_empty_variable_counts_as_not_set() -> None:
    assert ExternalServers.from_environment({"DETECTOR_REDIS_URL": ""}) == ExternalServers()


def test_an_external_s3_server_needs_its_keys(tmp_path) -> None:
    ports = {name: 12_000 + index for index, name in enumerate(PORT_NAMES)}
    embedded = EmbeddedServers.build(Layout(tmp_path), ports, Secrets("p", "v", "a", "s"))
    with pytest.raises(LocalStackError, match="its keys are not set"):
        embedded.urls(ExternalServers(s3_endpoint="http://other"))
    urls = embedded.urls(ExternalServers(None, None, "http://other", "a2", "s2"))
    assert (urls.s3_endpoint, urls.s3_access_key, urls.s3_secret_key) == (
        "http://other",
        "a2",
        "s2",
    )
    assert [server.name for server in embedded.needed(ExternalServers(redis_url="x"))] == [
        "seaweedfs",
        "postgres",
    ]
