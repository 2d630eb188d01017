"""`.local/prometheus.yml`: what a Prometheus needs to watch this stack (docs/monitoring.md)."""

import json
from collections.abc import Mapping
from pathlib import Path

from infra.local.directory.layout import Layout
from infra.local.services import ServiceEnvironment
from shared.core.settings import REPOSITORY_ROOT

RULES = REPOSITORY_ROOT / "infra" / "prometheus" / "rules" / "*.yml"

_HEAD = """# Written by `make up`: infra/prometheus/prometheus.yml with the ports of this stack. Run
#   prometheus --config.file=THIS-FILE --storage.tsdb.path=/tmp/detector-prometheus \\
#     --web.listen-address=127.0.0.1:9090
"""


def targets(env: ServiceEnvironment) -> dict[str, str]:
    """Return `host:port` of the metrics of every service, by its job."""
    ports = {
        "worker": env.ports.worker_metrics,
        "maintenance": env.ports.maintenance_metrics,
        "webhooks": env.ports.webhook_metrics,
        "ingest": env.ports.ingest_metrics,
        "drift": env.ports.drift_metrics,
    }
    return {
        "prometheus": "127.0.0.1:9090",
        "gateway": env.gateway_url.removeprefix("http://"),
        **{job: f"127.0.0.1:{port}" for job, port in ports.items()},
    }


def render(jobs: Mapping[str, str], rules: Path = RULES) -> str:
    """Return the configuration that scrapes `jobs` (name to `host:port`)."""
    config = {
        "global": {
            "scrape_interval": "15s",
            "scrape_timeout": "10s",
            "evaluation_interval": "15s",
        },
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target]}]}
            for job, target in jobs.items()
        ],
    }
    # JSON is YAML too, and needs no library.
    return f"{_HEAD}{json.dumps(config, indent=2)}\n"


def store(layout: Layout, env: ServiceEnvironment) -> None:
    """Write the file anew; ports may have changed since the last start."""
    layout.prometheus.write_text(render(targets(env)), encoding="utf-8")
