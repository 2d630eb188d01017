"""No name that clients and running processes rely on changes by accident."""

import json

import pytest

from infra.checks.interfaces import SNAPSHOT, interfaces, structure


@pytest.fixture(scope="module")
def found():
    return json.loads(json.dumps(interfaces()))


@pytest.mark.parametrize("kind", ["openapi", "environment", "metrics", "events", "tasks"])
def test_names_are_those_of_the_snapshot(found, kind):
    snapshot = json.loads(SNAPSHOT.read_text())
    assert found[kind] == snapshot[kind], (
        "on purpose? python -m infra.checks.interfaces > infra/checks/interfaces.json,"
        " and a line in CHANGELOG.md"
    )


def test_nothing_is_empty(found):
    assert all(found.values())
    assert found["metrics"]["detector_worker_images_total"] == ["counter", "outcome"]
    assert "DETECTOR_DATABASE_URL" in found["environment"]


def test_prose_is_left_out_and_fields_of_that_name_are_not():
    schema = {"properties": {"description": {"type": "string", "description": "Prose."}}}
    assert structure(schema) == {"properties": {"description": {"type": "string"}}}
