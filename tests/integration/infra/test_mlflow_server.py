"""The container's MLflow server on real PostgreSQL and S3, used as workers and operators use it."""

import pytest
from sqlalchemy import text

from infra.docker.mlflow_server import BUCKET, SCHEMA
from shared.db.migrate import revisions
from shared.ml.package import load_package
from shared.registry.digest import package_digest
from shared.registry.registry import ModelRegistry
from tests.support.packages import ONE_NETWORK, of_members
from tests.support.processes import ServiceProcess, answers, free_port, wait_until


@pytest.mark.timeout(400)  # MLflow's first start makes some fifty tables
def test_a_package_goes_through_the_server_and_our_schema_stays_ours(servers, sessions, tmp_path):
    port = free_port()
    environment = servers.environment() | {"MLFLOW_HOST": "127.0.0.1", "MLFLOW_PORT": str(port)}
    process = ServiceProcess("infra.docker.mlflow_server", environment, tmp_path / "mlflow.log")
    process.start()
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(
            lambda: answers(f"{url}/health") or not process.is_running(), 240, "MLflow answers"
        )
        assert process.is_running(), process.output()[-3000:]
        registry = ModelRegistry(url, "product-photo-detector")
        version = registry.register(ONE_NETWORK)
        registry.set_alias("champion", version.number)
        found = ModelRegistry(url, "product-photo-detector").resolve("champion")
        assert found is not None
        fetched = registry.fetch(found, tmp_path / "cache")
        assert package_digest(fetched) == package_digest(ONE_NETWORK)
        versions = [
            registry.register(of_members(tmp_path / "models" / name, name)) for name in ("a", "b")
        ]
        fetched = ModelRegistry(url, "product-photo-detector").fetch(
            versions[1], tmp_path / "cache"
        )
        trunk = load_package(fetched).trunk
        assert trunk is not None
    finally:
        process.kill()
    store = servers.store()
    listed = [item.object_name for item in store._client.list_objects(BUCKET, recursive=True)]
    assert any(name.endswith("/model.json") for name in listed)
    assert len([name for name in listed if name.endswith(f"/{trunk.name}")]) == 1
    with sessions() as session:
        tables = session.execute(
            text("SELECT table_schema FROM information_schema.tables WHERE table_name = 'runs'")
        ).scalars()
        assert list(tables) == [SCHEMA]
    current, head = revisions(servers.database_url)
    assert current == head
    assert servers.s3_secret_key not in process.output()
