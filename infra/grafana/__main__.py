"""Writes the dashboards and alert rules that Grafana provisions: `python -m infra.grafana`."""

import json
from pathlib import Path
from typing import Any

import yaml

from infra.grafana import alerting
from infra.grafana.boards import business, drift, model, pipeline, service
from infra.grafana.panels import render

HERE = Path(__file__).parent
BOARDS = [service.BOARD, pipeline.BOARD, model.BOARD, drift.BOARD, business.BOARD]
_HEAD = "# Written by `python -m infra.grafana` from infra/prometheus/rules; edit those instead.\n"


class _WithoutAliases(yaml.SafeDumper):
    """What occurs twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def files() -> dict[Path, str]:
    """Return the content of every generated file."""
    boards = {
        HERE / "dashboards" / f"{board.uid}.json": json.dumps(render(board), indent=1) + "\n"
        for board in BOARDS
    }
    rules = yaml.dump(
        alerting.render(alerting.read_groups()),
        Dumper=_WithoutAliases,
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )
    return {**boards, HERE / "provisioning" / "alerting" / "rules.yml": _HEAD + rules}


def main() -> None:
    """Write them."""
    for path, content in files().items():
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
