"""Counters that `increase()` watches have all their series before anything happens."""

import subprocess
import sys

_SAMPLES = (
    "import services.drift.metrics, prometheus_client as p; print(p.generate_latest().decode())"
)


def test_the_first_rise_and_the_first_window_are_increases():
    # A process of its own: here other tests may have counted already.
    text = subprocess.run(
        [sys.executable, "-c", _SAMPLES], capture_output=True, text=True, check=True, timeout=120
    ).stdout.splitlines()
    for severity in ("warning", "critical"):
        for cause in ("input_shift", "traffic_mix", "new_cluster", "score_shift"):
            for scope in ("all", "tenant"):
                labels = f'cause="{cause}",scope="{scope}",severity="{severity}"'
                assert f"detector_drift_alerts_total{{{labels}}} 0.0" in text
    for status in ("checked", "too_few", "empty", "no_reference"):
        assert f'detector_drift_runs_total{{status="{status}"}} 0.0' in text
