"""Have the predictions moved, how far, and is anybody looking?"""

from infra.grafana.panels import Board, Panel, Query, Row, Variable, mean

_MODEL = 'model_version=~"$model_version"'


def _by_model(metric: str, legend: str = "{{model_version}}") -> Query:
    return Query(f"max by (model_version) ({metric}{{{_MODEL}}})", legend)


_NOW = Row(
    "Now",
    [
        Panel(
            "Severity",
            "0 none, 1 warning, 2 critical: of all tenants together, and the worst of the tenants.",
            [
                Query(
                    f"max by (model_version, scope) (detector_drift_severity{{{_MODEL}}})",
                    "{{model_version}} {{scope}}",
                )
            ],
            kind="stat",
            height=6,
            thresholds=[(1, "orange"), (2, "red")],
        ),
        Panel(
            "Cause",
            "1 for the cause that the last check named; its report has the evidence.",
            [
                Query(
                    f"max by (model_version, cause) (detector_drift_cause{{{_MODEL}}})",
                    "{{model_version}} {{cause}}",
                )
            ],
            kind="bargauge",
            height=6,
            maximum=1,
        ),
        Panel(
            "Tenants by severity",
            "Each tenant with enough photos is checked for itself.",
            [
                Query(
                    f"sum by (severity) (detector_drift_tenants{{{_MODEL}}})",
                    "{{severity}}",
                )
            ],
            kind="stat",
            height=6,
        ),
    ],
)

_STATISTICS = Row(
    "Statistics of all tenants together",
    [
        Panel(
            "Effect over its threshold",
            "From 1 on an effect counts, if it is significant too.",
            [
                Query(
                    "max by (model_version, statistic, subject)"
                    f" (detector_drift_statistic{{{_MODEL}}})"
                    " / on (statistic) group_left max by (statistic)"
                    " (detector_drift_statistic_threshold)",
                    "{{model_version}} {{statistic}} ({{subject}})",
                )
            ],
            width=12,
            height=10,
            thresholds=[(1, "red")],
        ),
        Panel(
            "Corrected p-values",
            "For all tests of a check; 1% by default is significant.",
            [
                Query(
                    "max by (model_version, statistic, subject)"
                    f" (detector_drift_p_value{{{_MODEL}}})",
                    "{{model_version}} {{statistic}} ({{subject}})",
                )
            ],
            width=12,
            height=10,
            maximum=1,
        ),
        Panel(
            "Accuracy",
            "What the calibrated probabilities expect, and how often reviewers agree.",
            [
                _by_model("detector_drift_estimated_accuracy_ratio", "expected {{model_version}}"),
                _by_model("detector_drift_feedback_accuracy_ratio", "reviewers {{model_version}}"),
            ],
            unit="percentunit",
            maximum=1,
        ),
        Panel(
            "Reviews behind that share",
            "Few of them make it uncertain; the report has the interval.",
            [_by_model("detector_drift_feedback_photos")],
        ),
        Panel(
            "Severities raised in a day",
            "By what they rose to, the cause, and whose it is.",
            [
                Query(
                    "sum by (severity, cause, scope) (increase(detector_drift_alerts_total[1d]))"
                    " or vector(0)",
                    "{{severity}} {{cause}} {{scope}}",
                )
            ],
        ),
    ],
)

_CHECKS = Row(
    "Checks",
    [
        Panel(
            "Age of the oldest unchecked verdict",
            "A window ends when it holds enough photos, after a day at the latest.",
            [Query("detector:drift:lag_seconds", "{{model_version}}")],
            unit="s",
            thresholds=[(97_200, "red")],
        ),
        Panel(
            "Since the service last looked",
            "For windows that have ended, and checked all that there were.",
            [Query("detector:drift:silent_seconds", "silent")],
            unit="s",
            thresholds=[(1800, "red")],
        ),
        Panel(
            "Windows done in a day",
            "`too_few` and `empty` ones had not enough photos; `no_reference` nothing to compare.",
            [Query("sum by (status) (increase(detector_drift_runs_total[1d]))", "{{status}}")],
            stack=True,
        ),
        Panel(
            "Photos compared",
            "Of the last window, and of the reference.",
            [
                _by_model("detector_drift_window_photos", "window {{model_version}}"),
                _by_model("detector_drift_reference_photos", "reference {{model_version}}"),
            ],
        ),
        Panel(
            "Time of a check",
            "Mean over an hour.",
            [Query(mean("detector_drift_run_seconds", interval="1h"), "mean")],
            unit="s",
        ),
        Panel(
            "Rounds that failed",
            "Over 15 minutes; the next one goes on.",
            [Query("detector:drift:failures_15m", "failures")],
            thresholds=[(3, "red")],
        ),
        Panel(
            "Process that checks",
            "Exactly one; others wait for its end.",
            [Query("sum(detector_drift_leader)", "leaders")],
            kind="stat",
        ),
        Panel(
            "Seconds since the last window's end",
            "Of each model version.",
            [
                Query(
                    "time() - max by (model_version)"
                    f" (detector_drift_last_window_timestamp_seconds{{{_MODEL}}})",
                    "{{model_version}}",
                )
            ],
            unit="s",
        ),
    ],
)

BOARD = Board(
    uid="detector-drift",
    title="Detector / Drift",
    description="Have the predictions moved, how far, and is anybody looking?",
    rows=[_NOW, _STATISTICS, _CHECKS],
    variables=[Variable("model_version", "detector_drift_severity", "model_version")],
)
