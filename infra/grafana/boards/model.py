"""What does the model say, how sure is it, and how fast?"""

from infra.grafana.panels import Board, Panel, Query, Row, Variable, mean, upper_quantile

_VERSION = 'version=~"$version"'
_LABELS = 'outcome=~"real|ai_generated|uncertain"'


def _share(part: str, whole: str) -> str:
    return f"sum(rate({part}[$__rate_interval])) / sum(rate({whole}[$__rate_interval]))"


_SERVING = Row(
    "Serving",
    [
        Panel(
            "Versions",
            "Workers by model version and engine; two versions are normal for minutes only.",
            [
                Query(
                    f"count by (version, engine) (detector_worker_model_info{{{_VERSION}}} == 1)",
                    "{{version}} ({{engine}})",
                )
            ],
            kind="stat",
            height=5,
        ),
        Panel(
            "Versions at once",
            "More than one for 15 minutes raises an alert.",
            [Query("detector:model:versions_serving", "versions")],
            kind="stat",
            height=5,
            thresholds=[(2, "orange")],
        ),
        Panel(
            "Swaps",
            "Packages taken from the registry, or refused.",
            [
                Query(
                    "sum by (result) (increase(detector_worker_model_swaps_total[$__range]))",
                    "{{result}}",
                )
            ],
            kind="stat",
            height=5,
        ),
    ],
)

_VERDICTS = Row(
    "Verdicts",
    [
        Panel(
            "Probabilities",
            "How many verdicts fell between which calibrated P(AI-generated).",
            [
                Query(
                    f"sum by (le) (increase(detector_worker_probability_bucket{{{_VERSION}}}"
                    "[$__rate_interval]))",
                    "{{le}}",
                )
            ],
            unit="percentunit",
            kind="heatmap",
            width=12,
        ),
        Panel(
            "Mean probability",
            "By version. A step without a promotion is a reason to look at the drift dashboard.",
            [Query(mean("detector_worker_probability", "version"), "{{version}}")],
            unit="percentunit",
            width=12,
            maximum=1,
        ),
        Panel(
            "Labels",
            "Photos judged per second.",
            [
                Query(
                    f"sum by (outcome) (rate(detector_worker_images_total{{{_LABELS}}}"
                    "[$__rate_interval]))",
                    "{{outcome}}",
                )
            ],
            stack=True,
        ),
        Panel(
            "Share of labels",
            "Of all verdicts, over an hour.",
            [
                Query(
                    f"sum by (outcome) (increase(detector_worker_images_total{{{_LABELS}}}[1h]))"
                    f" / scalar(sum(increase(detector_worker_images_total{{{_LABELS}}}[1h])))",
                    "{{outcome}}",
                )
            ],
            unit="percentunit",
            maximum=1,
        ),
        Panel(
            "Answered without inference",
            "Share of photos whose bytes had been judged before.",
            [
                Query(
                    _share("detector_worker_verdicts_reused_total", "detector_worker_images_total"),
                    "reused",
                )
            ],
            unit="percentunit",
            maximum=1,
        ),
        Panel(
            "Second looks",
            "Photos near a threshold, judged again after a re-encode: did the label stay?",
            [
                Query(
                    "sum by (result) (rate(detector_worker_second_looks_total[$__rate_interval]))",
                    "{{result}}",
                )
            ],
            stack=True,
        ),
        Panel(
            "Networks that ended photos",
            "Of a package of a view and tiles: `view` where the tiles could not have changed the"
            " verdict and were not looked at.",
            [
                Query(
                    "sum by (network) (rate(detector_worker_photos_ended_total[$__rate_interval]))",
                    "{{network}}",
                )
            ],
            stack=True,
        ),
        Panel(
            "Verdicts that metadata decided",
            "By what the pixels alone gave; docs/evidence.md.",
            [
                Query(
                    "sum by (pixels) (rate(detector_worker_provenance_conclusions_total"
                    "[$__rate_interval]))",
                    "pixels: {{pixels}}",
                )
            ],
        ),
        Panel(
            "Reviews",
            "Share of reviewers' labels that overturned the verdict, over a day, by their label."
            " `real` are false accusations.",
            [
                Query(
                    "sum by (label) (increase(detector_tenant_reviews_total"
                    '{outcome="overturned"}[1d]))'
                    " / clamp_min(sum by (label) (increase(detector_tenant_reviews_total[1d])), 1)",
                    "{{label}}",
                )
            ],
            unit="percentunit",
            maximum=1,
        ),
    ],
)

_SPEED = Row(
    "Speed",
    [
        Panel(
            "Forward pass",
            "95th percentile of one batch.",
            [
                Query(
                    upper_quantile(
                        0.95, "detector_worker_stage_seconds", "stage", 'stage="forward"'
                    ),
                    "p95",
                )
            ],
            unit="s",
        ),
        Panel(
            "Photos per second",
            "Of each worker; repeated photos count too.",
            [
                Query(
                    f"sum by (instance) (rate(detector_worker_images_total{{{_LABELS}}}"
                    "[$__rate_interval]))",
                    "{{instance}}",
                )
            ],
        ),
        Panel(
            "Heatmaps",
            "Made on demand.",
            [
                Query(
                    "sum by (result) (rate(detector_worker_heatmaps_total[$__rate_interval]))",
                    "{{result}}",
                )
            ],
        ),
    ],
)

BOARD = Board(
    uid="detector-model",
    title="Detector / Model",
    description="What does the model say, how sure is it, and how fast?",
    rows=[_SERVING, _VERDICTS, _SPEED],
    variables=[Variable("version", "detector_worker_model_info", "version")],
)
