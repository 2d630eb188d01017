"""Celery task and queue names: services meet through these, never through imports."""

INFER_CHUNK = "worker.infer_chunk"
SWEEP_OUTBOX = "maintenance.sweep_outbox"
RESCUE_LEASES = "maintenance.rescue_leases"
CHECK_INVARIANTS = "maintenance.check_invariants"

QUEUE_INFERENCE = "inference"
QUEUE_MAINTENANCE = "maintenance"

# A chunk task carries at most this many image ids (one Celery message per image caps near 800/s).
MAX_CHUNK = 64

# Outbox topics.
TOPIC_INFER_CHUNK = "inference.chunk"

# PostgreSQL NOTIFY channel; the payload is the id of the job that has just become terminal.
CHANNEL_JOB_FINISHED = "job_finished"

# Message header: the trace of one request through queue and worker.
HEADER_REQUEST_ID = "request_id"
