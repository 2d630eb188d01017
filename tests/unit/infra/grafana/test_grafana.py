"""What Grafana provisions: written by the generator, complete, and nothing that stops its boot."""

import json
import re
from itertools import combinations

import pytest
import yaml

from infra.grafana import alerting
from infra.grafana.__main__ import BOARDS, HERE, files
from infra.grafana.panels import DATASOURCE, Board, Panel, Query, Row, render
from tests.support.prometheus import alerts
from tests.support.promql import selectors

PROVISIONING = HERE / "provisioning"
# Grafana's own limit and alphabet.
UID = re.compile(r"[a-z0-9-]{1,40}")


def read(name: str) -> dict:
    return yaml.safe_load((PROVISIONING / name).read_text())


def rules() -> list[dict]:
    return [rule for group in read("alerting/rules.yml")["groups"] for rule in group["rules"]]


def dashboards() -> list[dict]:
    return [json.loads(file.read_text()) for file in sorted((HERE / "dashboards").glob("*.json"))]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_what_is_committed_is_what_the_generator_writes(path):
    assert path.read_text() == files()[path], "run `python -m infra.grafana`"


def test_nothing_lies_beside_the_generated_dashboards():
    assert set((HERE / "dashboards").iterdir()) == {
        path for path in files() if path.suffix == ".json"
    }
    assert [board["uid"] for board in dashboards()] == [
        "detector-business", "detector-drift", "detector-model", "detector-pipeline",
        "detector-service",
    ]  # fmt: skip


@pytest.mark.parametrize("board", dashboards(), ids=lambda board: board["uid"])
def test_a_dashboard_is_complete(board):
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers) > 10
    declared = {variable["name"] for variable in board["templating"]["list"]}
    used = set()
    for panel in board["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["title"]
        assert panel["description"].endswith((".", "?")), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"] == DATASOURCE
            used |= set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval", "__range"}
            assert selectors(target["expr"])
    assert used == declared
    assert all(UID.fullmatch(board["uid"]) for board in dashboards())


@pytest.mark.parametrize("board", dashboards(), ids=lambda board: board["uid"])
def test_no_panel_lies_over_another_or_beyond_the_edge(board):
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for a, b in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above, (a, b)


def test_panels_flow_into_lines_of_24_columns():
    panels = [Panel(f"{i}", "One.", [Query("up")], width=10, height=4 + i) for i in range(3)]
    made = render(Board("a", "A", "A.", [Row("One", panels), Row("Two", panels[:1])]))["panels"]
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in made]
    assert places == [(0, 0), (0, 1), (10, 1), (0, 6), (0, 12), (0, 13)]


def test_the_metrics_of_an_expression_are_found_with_their_labels():
    expression = """
        sum by (le, route) (rate(a_bucket{x="sum(b)",y!~"{z}"}[5m])) / on (job) group_left c:d
        or label_replace(vector(0), "job", "worker", "", "") and max without (q) (e) > bool 0.5
    """
    assert selectors(expression) == {"a_bucket": {"x", "y"}, "c:d": set(), "e": set()}


def test_the_data_source_has_the_uid_that_everything_names():
    (source,) = read("datasources/prometheus.yml")["datasources"]
    assert {"type": source["type"], "uid": source["uid"]} == DATASOURCE
    queried = {data["datasourceUid"] for rule in rules() for data in rule["data"]}
    assert queried == {DATASOURCE["uid"], "__expr__"}


def test_grafana_has_every_alert_with_the_same_words_time_and_number():
    found = {rule["title"]: rule for rule in rules()}
    assert set(found) == set(alerts())
    for name, alert in alerts().items():
        rule = found[name]
        compared = alerting.condition(alert["expr"])
        signal, value, threshold = (data["model"] for data in rule["data"])
        assert signal["expr"] == compared.signal
        assert value["expression"] == "signal"
        assert threshold["expression"] == "value"
        (check,) = threshold["conditions"]
        assert check["evaluator"]["params"] == [compared.number]
        assert {"gt": ">", "lt": "<"}[check["evaluator"]["type"]] == compared.operator
        assert (rule["for"], rule["labels"]) == (alert["for"], alert["labels"])
        assert set(rule["annotations"]) == set(alert["annotations"])
        assert rule["condition"] == rule["data"][-1]["refId"]


def test_uids_are_fixed_unique_and_short_enough():
    uids = [rule["uid"] for rule in rules()]
    assert len(set(uids)) == len(uids)
    assert all(UID.fullmatch(uid) for uid in uids)
    assert alerting.uid("DetectorQueueAge") == "detector-queue-age"
    contact = read("alerting/contact-points.yml")["contactPoints"]
    receivers = [receiver["uid"] for point in contact for receiver in point["receivers"]]
    assert receivers == ["detector-oncall-webhook"]


def test_nothing_that_grafana_would_expand_but_the_address_of_the_receiver():
    assert "$" not in (PROVISIONING / "alerting" / "rules.yml").read_text()
    expanded = [
        variable
        for file in PROVISIONING.rglob("*.yml")
        for variable in re.findall(r"^[^#\n]*\$(\S+)", file.read_text(), re.MULTILINE)
    ]
    assert expanded == ["{DETECTOR_ALERT_WEBHOOK_URL}"]


def test_policies_name_the_contact_point_and_severities_that_exist():
    names = {point["name"] for point in read("alerting/contact-points.yml")["contactPoints"]}
    (policy,) = read("alerting/policies.yml")["policies"]
    assert {policy["receiver"], *(route["receiver"] for route in policy["routes"])} == names
    severities = {rule["labels"]["severity"] for rule in rules()}
    for route in policy["routes"]:
        assert [label for label, _, _ in route["object_matchers"]] == ["severity"]
        assert {value for _, _, value in route["object_matchers"]} <= severities


def test_dashboards_and_alerts_have_folders_of_their_own():
    (provider,) = read("dashboards/dashboards.yml")["providers"]
    folders = {group["folder"] for group in read("alerting/rules.yml")["groups"]}
    assert folders == {"Detector alerts"}
    assert provider["folder"] not in folders
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"


@pytest.mark.parametrize("wrong", ["up", "a > b", "sum(a) >= 1", "a > 1 and b > 2"])
def test_an_alert_of_another_form_is_refused(wrong):
    with pytest.raises(ValueError, match="not `SIGNAL"):
        alerting.condition(wrong)


def test_titles_of_dashboards_are_unique():
    assert len({board.title for board in BOARDS}) == len(BOARDS) == 5
