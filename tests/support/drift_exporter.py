"""The drift service's own metrics in a process of its own, with the values that a test wants.

`python -m tests.support.drift_exporter PORT`; a line `severity SCOPE NUMBER` on standard input
injects a drift state.
"""

import sys

from prometheus_client import start_http_server

from services.drift import metrics

MODEL = "0.3.0"


def main() -> None:
    metrics.LEADER.set(1)
    metrics.LAST_SUCCESS.set_to_current_time()
    metrics.LAST_WINDOW.labels(MODEL).set_to_current_time()
    metrics.LAG.labels(MODEL).set(600)
    metrics.RUNS.labels("checked").inc()
    metrics.RUN_SECONDS.observe(2)
    for scope in ("all", "tenants"):
        metrics.SEVERITY.labels(MODEL, scope).set(0)
    metrics.TENANTS.labels(MODEL, "none").set(1)
    metrics.CAUSE.labels(MODEL, "none").set(1)
    metrics.STATISTIC.labels(MODEL, "psi", "score").set(0.01)
    metrics.THRESHOLD.labels("psi").set(0.1)
    metrics.P_VALUE.labels(MODEL, "ks", "score").set(0.4)
    metrics.PHOTOS.labels(MODEL).set(1000)
    metrics.REFERENCE_PHOTOS.labels(MODEL).set(2000)
    metrics.ESTIMATED_ACCURACY.labels(MODEL).set(0.97)
    metrics.FEEDBACK_ACCURACY.labels(MODEL).set(0.9)
    metrics.FEEDBACK_PHOTOS.labels(MODEL).set(10)
    metrics.RAISED.labels("warning", "score_shift", "all").inc()
    start_http_server(int(sys.argv[1]), "127.0.0.1")
    sys.stdout.write("exporter.ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        _, scope, number = line.split()
        metrics.SEVERITY.labels(MODEL, scope).set(float(number))
        metrics.RUN_SECONDS.observe(2)


if __name__ == "__main__":
    main()
