"""Prometheus metrics of the drift service. Tenants are counted, never named."""

from prometheus_client import Counter, Gauge, Histogram

from shared.contracts.drift import Cause, RunStatus, Severity

LEADER = Gauge("detector_drift_leader", "1 in the process that checks; others wait for its end.")
LAST_SUCCESS = Gauge(
    "detector_drift_last_success_timestamp_seconds",
    "When the service last looked for ended windows, and checked all that there were.",
)
LAST_WINDOW = Gauge(
    "detector_drift_last_window_timestamp_seconds",
    "End of the last window that was checked.",
    ["model_version"],
)
LAG = Gauge(
    "detector_drift_lag_seconds",
    "Age of the oldest verdict that no finished check covers.",
    ["model_version"],
)
RUNS = Counter(
    "detector_drift_runs",
    "Windows done: `checked`, `too_few` photos, `empty`, `no_reference`.",
    ["status"],
)
FAILURES = Counter("detector_drift_failures", "Rounds that ended in an error; the next goes on.")
RUN_SECONDS = Histogram(
    "detector_drift_run_seconds",
    "Time that the check of one window took.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)
SEVERITY = Gauge(
    "detector_drift_severity",
    "0 none, 1 warning, 2 critical; scope `all` tenants together, or the worst of the `tenants`.",
    ["model_version", "scope"],
)
TENANTS = Gauge(
    "detector_drift_tenants", "Tenants by their severity.", ["model_version", "severity"]
)
CAUSE = Gauge(
    "detector_drift_cause",
    "1 for the cause named by the last check of all tenants together, 0 for the others.",
    ["model_version", "cause"],
)
STATISTIC = Gauge(
    "detector_drift_statistic",
    "Value in the last check of all tenants together.",
    ["model_version", "statistic", "subject"],
)
THRESHOLD = Gauge(
    "detector_drift_statistic_threshold", "The effect from which on it counts.", ["statistic"]
)
P_VALUE = Gauge(
    "detector_drift_p_value",
    "Corrected p-value in the last check of all tenants together.",
    ["model_version", "statistic", "subject"],
)
PHOTOS = Gauge(
    "detector_drift_window_photos", "Photos judged anew in the last window.", ["model_version"]
)
REFERENCE_PHOTOS = Gauge(
    "detector_drift_reference_photos", "Photos of the reference; 0 without one.", ["model_version"]
)
ESTIMATED_ACCURACY = Gauge(
    "detector_drift_estimated_accuracy_ratio",
    "Accuracy that the calibrated probabilities expect of the last window's verdicts.",
    ["model_version"],
)
FEEDBACK_ACCURACY = Gauge(
    "detector_drift_feedback_accuracy_ratio",
    "Share of reviewed verdicts that reviewers agree with.",
    ["model_version"],
)
FEEDBACK_PHOTOS = Gauge(
    "detector_drift_feedback_photos", "Reviewed verdicts behind that share.", ["model_version"]
)
RAISED = Counter(
    "detector_drift_alerts",
    "Severities that rose, by what they rose to, its cause, and whose it is.",
    ["severity", "cause", "scope"],
)
REPORTS_DELETED = Counter("detector_drift_reports_deleted", "Reports past their time.")

# Series that exist from the start: Prometheus sees an increase only between two samples.
for _status in RunStatus:
    RUNS.labels(_status)
for _severity in (Severity.WARNING, Severity.CRITICAL):
    for _cause in Cause:
        if _cause is not Cause.NONE:
            for _scope in ("all", "tenant"):
                RAISED.labels(_severity, _cause, _scope)
