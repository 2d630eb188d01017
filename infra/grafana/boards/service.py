"""Is it up, fast and free of errors? The first dashboard of whoever is on call."""

from infra.grafana.panels import Board, Panel, Query, Row, upper_quantile

_CLIENTS = 'route!~"/health.*|/metrics"'
_DURATION = "detector_http_request_duration_seconds"

BOARD = Board(
    uid="detector-service",
    title="Detector / Service",
    description="Is it up, fast and free of errors? Probes and scrapes are not counted.",
    rows=[
        Row(
            "Now",
            [
                Panel(
                    "Processes that answer",
                    "Of each service; none at all raises an alert.",
                    [Query("detector:service:up", "{{job}}")],
                    kind="stat",
                    width=8,
                    height=5,
                ),
                Panel(
                    "Requests",
                    "Of clients, over five minutes.",
                    [Query("detector:gateway:requests_per_second")],
                    unit="reqps",
                    kind="stat",
                    width=4,
                    height=5,
                ),
                Panel(
                    "Errors of ours",
                    "Share of requests answered with 5xx.",
                    [Query("detector:gateway:error_ratio")],
                    unit="percentunit",
                    kind="stat",
                    width=4,
                    height=5,
                    thresholds=[(0.01, "orange"), (0.05, "red")],
                ),
                Panel(
                    "Oldest photo waiting",
                    "Of jobs and predictions; catalogs' photos give way and are not counted.",
                    [Query('detector:queue:oldest_seconds{queue="direct"}')],
                    unit="s",
                    kind="stat",
                    width=4,
                    height=5,
                    thresholds=[(60, "orange"), (300, "red")],
                ),
                Panel(
                    "Alerts firing",
                    "See the red marks in every graph, and docs/runbooks.",
                    [Query('count(ALERTS{alertstate="firing"}) or vector(0)')],
                    kind="stat",
                    width=4,
                    height=5,
                    thresholds=[(1, "red")],
                ),
            ],
        ),
        Row(
            "Requests",
            [
                Panel(
                    "Requests by route",
                    "Per second.",
                    [
                        Query(
                            "sum by (method, route) (rate(detector_http_requests_total"
                            f"{{{_CLIENTS}}}[$__rate_interval]))",
                            "{{method}} {{route}}",
                        )
                    ],
                    unit="reqps",
                ),
                Panel(
                    "Answers by status",
                    "4xx are clients' errors, 5xx ours.",
                    [
                        Query(
                            "sum by (status) (rate(detector_http_requests_total"
                            f"{{{_CLIENTS}}}[$__rate_interval]))",
                            "{{status}}",
                        )
                    ],
                    unit="reqps",
                    stack=True,
                ),
                Panel(
                    "Time to answer",
                    "Without the time that clients asked to wait.",
                    [
                        Query(upper_quantile(q, _DURATION, where=_CLIENTS), f"p{q * 100:g}")
                        for q in (0.5, 0.95, 0.99)
                    ],
                    unit="s",
                ),
                Panel(
                    "Slowest routes",
                    "95th percentile over five minutes; an alert looks at jobs and predictions.",
                    [Query("detector:gateway:latency_p95_seconds", "{{method}} {{route}}")],
                    unit="s",
                    thresholds=[(5, "red")],
                ),
                Panel(
                    "Requests being handled",
                    "In all gateway processes.",
                    [Query("sum(detector_http_requests_in_progress)", "requests")],
                ),
                Panel(
                    "Received",
                    "Bytes of request bodies.",
                    [
                        Query(
                            "sum(rate(detector_http_request_body_bytes_total[$__rate_interval]))",
                            "in",
                        )
                    ],
                    unit="Bps",
                ),
                Panel(
                    "Photos refused at intake",
                    "By the code that the client gets.",
                    [
                        Query(
                            "sum by (code) (rate(detector_images_refused_total[$__rate_interval]))",
                            "{{code}}",
                        )
                    ],
                    stack=True,
                ),
                Panel(
                    "Requests refused by tenants' limits",
                    "Answered with 429; docs/keys.md.",
                    [
                        Query(
                            "sum by (limit) (rate(detector_http_requests_limited_total"
                            "[$__rate_interval]))",
                            "{{limit}}",
                        )
                    ],
                    unit="reqps",
                ),
                Panel(
                    "Repeated requests",
                    "Answered with the job that an earlier one had made (Idempotency-Key).",
                    [
                        Query(
                            "sum(rate(detector_idempotent_replays_total[$__rate_interval]))",
                            "replays",
                        )
                    ],
                    unit="reqps",
                ),
            ],
        ),
        Row(
            "Servers",
            [
                Panel(
                    "Seconds since a server answered",
                    "Each is asked every five seconds.",
                    [Query("detector:dependency:silent_seconds", "{{dependency}}")],
                    unit="s",
                    thresholds=[(60, "red")],
                ),
                Panel(
                    "Time of the smallest question",
                    "SELECT 1, PING, and a look at the bucket.",
                    [
                        Query(
                            "max by (dependency) (detector_dependency_probe_seconds)",
                            "{{dependency}}",
                        )
                    ],
                    unit="s",
                ),
                Panel(
                    "Time to store a photo",
                    "Hashing and one S3 request.",
                    [
                        Query(upper_quantile(q, "detector_store_put_seconds"), f"p{q * 100:g}")
                        for q in (0.5, 0.95)
                    ],
                    unit="s",
                ),
            ],
        ),
        Row(
            "Processes",
            [
                Panel(
                    "Memory",
                    "Resident; the gateway, which has several processes, does not tell.",
                    [
                        Query(
                            'process_resident_memory_bytes{job!="prometheus"}',
                            "{{job}} {{instance}}",
                        )
                    ],
                    unit="bytes",
                ),
                Panel(
                    "CPU",
                    "Cores in use.",
                    [
                        Query(
                            'rate(process_cpu_seconds_total{job!="prometheus"}[$__rate_interval])',
                            "{{job}} {{instance}}",
                        )
                    ],
                ),
                Panel(
                    "Gateway processes that hear of finished jobs",
                    "At once, by a notification of the database; others ask it.",
                    [Query("detector:gateway:listeners", "processes")],
                ),
            ],
        ),
    ],
)
