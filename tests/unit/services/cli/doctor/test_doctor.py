import json

from tests.support.fake_gateway import FakeGateway
from tests.unit.services.cli.conftest import Run

NAMES = ["python", "gateway", "database", "redis", "object store", "model package"]


def test_a_bare_machine_fails_and_every_failure_says_how_to_mend_it(run: Run) -> None:
    result = run("doctor", "--json")
    found = [json.loads(line) for line in result.out.splitlines()]
    assert [line["check"] for line in found] == [*NAMES, "engine", "disk"]
    assert result.code == 1
    for line in found:
        assert bool(line["mend"]) is (line["level"] != "ok")


def test_the_table_lists_findings_and_what_to_do(run: Run, gateway: FakeGateway) -> None:
    result = run("doctor")
    rows = {" ".join(row.split()[1:3]): row.split()[0] for row in result.out.splitlines()}
    assert rows["API key"] == "ok"
    assert rows["object store"] == "warn"
    assert "database: Run `make up`" in result.out
