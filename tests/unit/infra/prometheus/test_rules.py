"""The shipped rules: promtool accepts them, and every alert is tested, explained and has a form."""

import re
import subprocess

import pytest
import yaml
from typer.testing import CliRunner

from services.cli.main import app
from services.drift.settings import DriftSettings
from services.ingest.settings import IngestSettings
from services.maintenance.settings import MaintenanceSettings
from services.webhooks.settings import DispatcherSettings
from services.worker.settings import WorkerSettings
from shared.core.settings import REPOSITORY_ROOT
from tests.support.prometheus import PROMETHEUS, alerts, rule_groups, signals, tool

ALERTS = alerts()
CASES = sorted((PROMETHEUS / "tests").glob("*.yml"))
SECTIONS = ["Meaning", "Impact", "How to look", "How to fix"]


def promtool(*arguments: str) -> str:
    done = subprocess.run(
        [tool("promtool"), *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def cases() -> list[tuple[str, list[dict]]]:
    """Return (alert, what is expected of it) for each moment at which some test looks."""
    tests = [test for file in CASES for test in yaml.safe_load(file.read_text())["tests"]]
    looks = [look for test in tests for look in test["alert_rule_test"]]
    return [(look["alertname"], look["exp_alerts"]) for look in looks]


def test_promtool_accepts_the_configuration_and_the_rules():
    said = promtool("check", "config", "prometheus.yml")
    assert f"{len(list((PROMETHEUS / 'rules').glob('*.yml')))} rule files found" in said


def test_every_alert_behaves_as_its_tests_say():
    promtool("test", "rules", *(str(file.relative_to(PROMETHEUS)) for file in CASES))


def test_every_alert_is_tested_firing_and_not_firing():
    fires = {name for name, expected in cases() if expected}
    quiet = {name for name, expected in cases() if not expected}
    assert fires == quiet == set(ALERTS)
    healthy = yaml.safe_load((PROMETHEUS / "tests" / "healthy.yml").read_text())["tests"]
    looks = [look for test in healthy for look in test["alert_rule_test"]]
    assert {look["alertname"] for look in looks} == set(ALERTS)
    assert not any(look["exp_alerts"] for look in looks)


def test_a_wrong_expectation_would_be_noticed(tmp_path):
    content = yaml.safe_load((PROMETHEUS / "tests" / "gateway.yml").read_text())
    content["rule_files"] = [str(PROMETHEUS / "rules" / "gateway.yml")]
    content["tests"][0]["alert_rule_test"][-1]["exp_alerts"] = []
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(yaml.safe_dump(content))
    with pytest.raises(AssertionError, match="FAILED"):
        promtool("test", "rules", str(wrong))


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_compares_a_signal_with_a_number_and_says_what_to_do(name):
    alert = ALERTS[name]
    form = re.fullmatch(r"(detector:[a-z0-9_:]+)(\{.+\})? [<>] \d+(\.\d+)?", alert["expr"])
    assert form, alert["expr"]
    assert form[1] in signals()
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"


@pytest.mark.parametrize("name", ALERTS)
def test_a_runbook_tells_meaning_impact_and_remedy(name):
    text = (REPOSITORY_ROOT / "docs" / "runbooks" / f"{name}.md").read_text()
    alert = ALERTS[name]
    assert text.startswith(f"# {name}\n")
    assert f"`{alert['expr']}` for {alert['for']} · {alert['labels']['severity']}" in text
    head, *parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    assert head
    assert parts[::2] == SECTIONS
    assert all(len(part.split()) >= 4 for part in parts[1::2])


def test_the_commands_that_runbooks_name_exist():
    text = " ".join(
        file.read_text() for file in (REPOSITORY_ROOT / "docs" / "runbooks").glob("*.md")
    )
    named = sorted(
        {tuple(words.split()) for words in re.findall(r"`detector ((?:[a-z-]+ ?)+)`", text)}
    )
    assert ("drift", "show") in named
    assert CliRunner().invoke(app, ["models", "no-such-command", "--help"]).exit_code == 2
    for words in named:
        done = CliRunner().invoke(app, [*words, "--help"])
        assert done.exit_code == 0, words


def test_there_is_no_runbook_without_alert():
    found = {file.stem for file in (REPOSITORY_ROOT / "docs" / "runbooks").glob("*.md")}
    assert found == set(ALERTS)


def test_the_documentation_lists_every_alert():
    text = (REPOSITORY_ROOT / "docs" / "monitoring.md").read_text()
    rows = re.findall(
        r"^\| \[(\w+)\]\(runbooks/(\w+)\.md\) \| (\w+) \| `(.+?)` \| (\w+) \|", text, re.MULTILINE
    )
    assert rows == [
        (name, name, alert["labels"]["severity"], alert["expr"].replace("|", "\\|"), alert["for"])
        for name, alert in ALERTS.items()
    ]


def test_names_of_groups_and_rules_are_unique():
    groups = [group["name"] for group in rule_groups()]
    rules = [
        rule.get("alert") or rule["record"] for group in rule_groups() for rule in group["rules"]
    ]
    assert len(set(groups)) == len(groups)
    assert len(set(rules)) == len(rules)


def test_every_service_is_scraped_on_the_port_that_it_listens_on():
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    scraped = {
        job["job_name"]: (source["names"], source["port"])
        for job in config["scrape_configs"]
        for source in job.get("dns_sd_configs", [])
    }

    def port(settings: type, name: str) -> int:
        return settings.model_fields[name].default

    assert scraped == {
        "gateway": (["gateway"], 8000),
        "worker": (["worker"], port(WorkerSettings, "worker_metrics_port")),
        "maintenance": (["maintenance"], port(MaintenanceSettings, "maintenance_metrics_port")),
        "webhooks": (["webhooks"], port(DispatcherSettings, "webhook_metrics_port")),
        "ingest": (["ingest"], port(IngestSettings, "ingest_metrics_port")),
        "drift": (["drift"], port(DriftSettings, "drift_metrics_port")),
    }
