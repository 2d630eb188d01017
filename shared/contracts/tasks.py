"""Celery task and queue names: services meet through these, never through imports."""

INFER_CHUNK = "worker.infer_chunk"
EXPLAIN_IMAGE = "worker.explain_image"
SWEEP_OUTBOX = "maintenance.sweep_outbox"
RESCUE_LEASES = "maintenance.rescue_leases"
CHECK_INVARIANTS = "maintenance.check_invariants"

QUEUE_INFERENCE = "inference"
# Photos of bulk catalogs: taken only while nobody waits for a photo of the queue above.
QUEUE_INFERENCE_BULK = "inference-bulk"
QUEUE_MAINTENANCE = "maintenance"

# A chunk task carries at most this many image ids (one Celery message per image caps near 800/s).
MAX_CHUNK = 64

# Outbox topics.
TOPIC_INFER_CHUNK = "inference.chunk"
TOPIC_INFER_BULK_CHUNK = "inference.bulk_chunk"
TOPIC_EXPLAIN_IMAGE = "inference.explain"

# PostgreSQL NOTIFY channel; the payload is the id of the job that has just become terminal, or of
# the image whose heatmap has been made or refused.
CHANNEL_JOB_FINISHED = "job_finished"
# Without payload: webhook deliveries were committed that are due.
CHANNEL_WEBHOOK_DUE = "webhook_due"

# Message header: the trace of one request through queue and worker.
HEADER_REQUEST_ID = "request_id"
