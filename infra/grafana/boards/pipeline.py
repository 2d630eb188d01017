"""Where are the photos? From the queue through the workers to the webhooks."""

from infra.grafana.panels import Board, Panel, Query, Row, mean, upper_quantile


def _rate(metric: str, by: str) -> Query:
    return Query(f"sum by ({by}) (rate({metric}[$__rate_interval]))", f"{{{{{by}}}}}")


_QUEUE = Row(
    "Queue",
    [
        Panel(
            "Photos that are not terminal",
            "As the database has them.",
            [Query("detector:queue:images", "{{status}}")],
            stack=True,
        ),
        Panel(
            "Oldest photo waiting",
            "`direct`: jobs and predictions; `bulk`: catalogs, which give way.",
            [Query("detector:queue:oldest_seconds", "{{queue}}")],
            unit="s",
            thresholds=[(300, "red")],
        ),
        Panel(
            "Stuck photos",
            "They do not move by themselves; the runbook of DetectorImagesStuck has the reasons.",
            [Query("detector:images:stuck", "{{reason}}")],
            thresholds=[(1, "red")],
        ),
        Panel(
            "Messages waiting in the broker",
            "Chunks of at most 64 photos.",
            [Query("max by (queue) (detector_broker_inference_messages)", "{{queue}}")],
        ),
        Panel(
            "Outbox",
            "Due messages that the broker has not taken.",
            [Query("max(detector_outbox_unsent_messages)", "messages")],
        ),
        Panel(
            "Oldest message in the outbox",
            "Usually milliseconds.",
            [Query("detector:outbox:oldest_seconds", "age")],
            unit="s",
            thresholds=[(120, "red")],
        ),
    ],
)

_WORKERS = Row(
    "Workers",
    [
        Panel(
            "Photos accepted and judged",
            "Per second.",
            [
                Query("sum(rate(detector_images_accepted_total[$__rate_interval]))", "accepted"),
                Query("detector:worker:images_per_second", "terminal (5 min)"),
            ],
        ),
        Panel(
            "Outcomes",
            "Per second.",
            [_rate("detector_worker_images_total", "outcome")],
            stack=True,
        ),
        Panel(
            "Failures",
            "By the code that the client gets.",
            [_rate("detector_worker_image_failures_total", "code")],
            stack=True,
        ),
        Panel(
            "Time of a chunk",
            "From its first query to the commit of its verdicts.",
            [
                Query(upper_quantile(q, "detector_worker_chunk_seconds"), f"p{q * 100:g}")
                for q in (0.5, 0.95)
            ],
            unit="s",
        ),
        Panel(
            "Mean time of a stage",
            "Fetch and decode per photo, forward per batch.",
            [Query(mean("detector_worker_stage_seconds", "stage"), "{{stage}}")],
            unit="s",
        ),
        Panel(
            "Photos of a forward pass",
            "Small batches under load mean that decoding is the wall.",
            [Query(mean("detector_worker_batch_images"), "mean")],
        ),
        Panel(
            "Chunks",
            "`nothing_to_do`: delivered twice, or others were faster.",
            [_rate("detector_worker_chunks_total", "result")],
        ),
        Panel(
            "Photos put back in the queue",
            "`lease_expired`: a worker died; `message_lost`: the broker forgot.",
            [_rate("detector_images_rescued_total", "reason")],
        ),
        Panel(
            "Given up, and judged too late",
            "Photos that ended workers too often; verdicts dropped since the lease had passed on.",
            [
                Query("sum(rate(detector_images_exhausted_total[$__rate_interval]))", "given up"),
                Query("sum(rate(detector_worker_leases_lost_total[$__rate_interval]))", "too late"),
            ],
        ),
    ],
)

_CATALOGS = Row(
    "Catalogs",
    [
        Panel(
            "Open catalogs",
            "Not terminal.",
            [Query("max(detector_ingest_catalogs_open)", "catalogs")],
        ),
        Panel(
            "Rows read",
            "`photo`, or the code of the row's error; per second.",
            [_rate("detector_ingest_rows_total", "result")],
            unit="rps",
            stack=True,
        ),
        Panel(
            "Time of a page",
            "Mean, fetching its photos and writing its rows.",
            [Query(mean("detector_ingest_page_seconds", "stage"), "{{stage}}")],
            unit="s",
        ),
        Panel(
            "Readers waiting for room",
            "Seconds of waiting a second, because enough photos of catalogs are open.",
            [
                Query(
                    "sum(rate(detector_ingest_waiting_seconds_total[$__rate_interval]))", "waiting"
                )
            ],
        ),
        Panel(
            "Turns ended by a fault",
            "Over 15 minutes; each is repeated.",
            [Query("detector:ingest:faults_15m", "faults")],
            thresholds=[(10, "red")],
        ),
    ],
)

_WEBHOOKS = Row(
    "Webhooks",
    [
        Panel(
            "Attempts",
            "Per second: received, to be repeated, or failed for good.",
            [_rate("detector_webhook_attempts_total", "outcome")],
            stack=True,
        ),
        Panel(
            "From an event to its first attempt's end",
            "95th percentile.",
            [Query(upper_quantile(0.95, "detector_webhook_delivery_delay_seconds"), "p95")],
            unit="s",
        ),
        Panel(
            "Deliveries waiting",
            "`due`: nobody attempts them yet; `scheduled`: on their way or to be repeated.",
            [
                Query("max(detector_webhook_deliveries_due)", "due"),
                Query("max(detector_webhook_deliveries_scheduled)", "scheduled"),
            ],
        ),
        Panel(
            "Oldest due delivery",
            "Usually milliseconds.",
            [Query("detector:webhook:oldest_due_seconds", "age")],
            unit="s",
            thresholds=[(600, "red")],
        ),
        Panel(
            "Failing attempts",
            "Share over 15 minutes.",
            [Query("detector:webhook:failure_ratio", "failing")],
            unit="percentunit",
            thresholds=[(0.5, "red")],
        ),
        Panel(
            "Given up and disabled in an hour",
            "Deliveries that failed for good; endpoints that we disabled.",
            [
                Query("detector:webhook:given_up_1h", "deliveries"),
                Query("detector:webhook:endpoints_disabled_1h", "endpoints"),
            ],
        ),
    ],
)

_TRUTHS = Row(
    "Standing truths",
    [
        Panel(
            "Violations",
            "Rows that contradict a guarantee; not 0 is a bug or a long delay.",
            [Query("detector:invariants:violations", "{{name}}")],
            thresholds=[(1, "red")],
            width=12,
        ),
        Panel(
            "Seconds since a sweep succeeded",
            "Rescue, relay, checks and measures.",
            [Query("detector:maintenance:silent_seconds", "{{sweep}}")],
            unit="s",
            thresholds=[(300, "red")],
            width=12,
        ),
    ],
)

BOARD = Board(
    uid="detector-pipeline",
    title="Detector / Pipeline",
    description="Where are the photos? From the queue through the workers to the webhooks.",
    rows=[_QUEUE, _WORKERS, _CATALOGS, _WEBHOOKS, _TRUTHS],
)
