"""Dashboards as data, and the JSON that Grafana provisions from it (schema 39, Grafana 11)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

# That of provisioning/datasources/prometheus.yml.
DATASOURCE = {"type": "prometheus", "uid": "detector-prometheus"}
_COLUMNS = 24

Kind = Literal["timeseries", "stat", "bargauge", "heatmap", "table"]
Json = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """One PromQL expression; `legend` may hold {{labels}}."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel. `unit` is Grafana's (s, short, percentunit, …), `width` of 24 columns.

    `thresholds` are (value, colour) from which on the colour holds; below the first it is green.
    A `stack` adds the series up.
    """

    title: str
    description: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    thresholds: Sequence[tuple[float, str]] = ()
    stack: bool = False
    maximum: float | None = None


@dataclass(frozen=True)
class Variable:
    """A choice above the panels: the values of `label` of `metric`; many or all may be chosen."""

    name: str
    metric: str
    label: str


@dataclass(frozen=True)
class Row:
    """Panels under one heading, from left to right."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """One dashboard; `uid` is its address and never changes."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = field(default=())


def upper_quantile(
    quantile: float, metric: str, by: str = "", where: str = "", interval: str = "$__rate_interval"
) -> str:
    """Return the PromQL of a histogram's quantile; `by` and `where` as PromQL writes them."""
    labels = f"le, {by}" if by else "le"
    selector = f"{{{where}}}" if where else ""
    return (
        f"histogram_quantile({quantile},"
        f" sum by ({labels}) (rate({metric}_bucket{selector}[{interval}])))"
    )


def mean(metric: str, by: str = "", interval: str = "$__rate_interval") -> str:
    """Return the PromQL of a histogram's mean."""
    clause = f" by ({by})" if by else ""
    top, bottom = (f"sum{clause} (rate({metric}_{part}[{interval}]))" for part in ("sum", "count"))
    return f"{top} / {bottom}"


def render(board: Board) -> Json:
    """Return the dashboard as Grafana stores it."""
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": ["detector"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": [_alerts_annotation()]},
        "links": [
            {"type": "dashboards", "tags": ["detector"], "title": "Dashboards", "asDropdown": True}
        ],
        "templating": {"list": [_variable(variable) for variable in board.variables]},
        "panels": _lay_out(board.rows),
    }


def _lay_out(rows: Sequence[Row]) -> list[Json]:
    panels: list[Json] = []
    top = 0
    for row in rows:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": top, "w": _COLUMNS, "h": 1},
                "panels": [],
            }
        )
        top += 1
        left = height = 0
        for panel in row.panels:
            if left + panel.width > _COLUMNS:
                top, left, height = top + height, 0, 0
            position = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            panels.append(_panel(panel, len(panels) + 1, position))
            left, height = left + panel.width, max(height, panel.height)
        top += height
    return panels


def _panel(panel: Panel, number: int, position: Json) -> Json:
    steps: list[Json] = [{"value": None, "color": "green"}]
    steps += [{"value": value, "color": colour} for value, colour in panel.thresholds]
    defaults: Json = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "thresholds" if panel.kind != "timeseries" else "palette-classic"},
        "custom": _custom(panel),
    }
    if panel.maximum is not None:
        defaults["max"] = panel.maximum
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "targets": [_target(panel, query, index) for index, query in enumerate(panel.queries)],
    }


def _custom(panel: Panel) -> Json:
    if panel.kind != "timeseries":
        return {}
    return {
        "drawStyle": "line",
        "fillOpacity": 30 if panel.stack else 5,
        "lineWidth": 1,
        "showPoints": "never",
        "stacking": {"mode": "normal" if panel.stack else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if panel.thresholds else "off"},
    }


def _options(panel: Panel) -> Json:
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    match panel.kind:
        case "timeseries":
            return {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        case "stat":
            return {"reduceOptions": last, "colorMode": "background", "graphMode": "area"}
        case "bargauge":
            return {"reduceOptions": last, "orientation": "horizontal", "displayMode": "basic"}
        case "heatmap":
            return {
                "calculate": False,
                "cellGap": 1,
                "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
                "yAxis": {"unit": panel.unit},
            }
        case "table":
            return {"showHeader": True, "cellHeight": "sm"}


def _target(panel: Panel, query: Query, index: int) -> Json:
    # What is counted over the whole chosen time is one number, not a curve.
    is_now = panel.kind in {"bargauge", "table"} or "$__range" in query.expr
    formats = {"heatmap": "heatmap", "table": "table"}
    return {
        "refId": chr(ord("A") + index),
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "format": formats.get(panel.kind, "time_series"),
        "instant": is_now,
        "range": not is_now,
    }


def _variable(variable: Variable) -> Json:
    query = f"label_values({variable.metric}, {variable.label})"
    return {
        "name": variable.name,
        "label": variable.name.replace("_", " "),
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": "variable"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _alerts_annotation() -> Json:
    return {
        "name": "Firing alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": 'ALERTS{alertstate="firing",alertname=~"Detector.*"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{severity}}",
    }
