"""Prometheus metrics of the worker. One process with threads: the default registry is right."""

from prometheus_client import Counter, Gauge, Histogram

IMAGES = Counter(
    "detector_worker_images_total",
    "Images by outcome: a verdict's label, `failed` or `postponed`.",
    ["outcome"],
)
PROBABILITY = Histogram(
    "detector_worker_probability",
    "Calibrated P(AI-generated) of verdicts, by the model's version.",
    ["version"],
    buckets=tuple(step / 20 for step in range(1, 21)),
)
REUSED = Counter(
    "detector_worker_verdicts_reused_total",
    "Photos answered by the verdict of an earlier one with the same bytes, without inference.",
)
FAILURES = Counter("detector_worker_image_failures_total", "Failed images by error code.", ["code"])
LEASES_LOST = Counter(
    "detector_worker_leases_lost_total",
    "Images judged after their lease had passed to another worker; the verdict was dropped.",
)
CHUNKS = Counter("detector_worker_chunks_total", "Chunk tasks by result.", ["result"])
CHUNK_SECONDS = Histogram(
    "detector_worker_chunk_seconds",
    "From the first query of a chunk to the commit of its verdicts.",
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60),
)
STAGE_SECONDS = Histogram(
    "detector_worker_stage_seconds",
    "Per image: fetch, decode. Per batch: forward.",
    ["stage"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
BATCH_SIZE = Histogram(
    "detector_worker_batch_images",
    "Images of one forward pass.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
MODEL = Gauge("detector_worker_model_info", "1 for the model loaded.", ["version", "engine"])
SECOND_LOOKS = Counter(
    "detector_worker_second_looks_total",
    "Photos near a threshold judged again after a re-encode, by whether the label stayed.",
    ["result"],
)
PHOTOS_ENDED = Counter(
    "detector_worker_photos_ended_total",
    "Photos judged by a package of members, by the network that ended them: `view` or `tiles`.",
    ["network"],
)
MODEL_SWAPS = Counter(
    "detector_worker_model_swaps_total",
    "Packages taken from the model registry, by result: `done` or `refused`.",
    ["result"],
)
REGISTRY_UP = Gauge(
    "detector_worker_registry_up",
    "1 when the last look at the model registry worked; 0 when it did not or none is watched.",
)
FINDINGS = Counter(
    "detector_worker_provenance_findings_total",
    "What photos' metadata says of their origin; `unread` are manifests that could not be read.",
    ["kind", "says", "strength"],
)
CONCLUSIONS = Counter(
    "detector_worker_provenance_conclusions_total",
    "Verdicts that metadata made `ai_generated`, by what the pixels alone gave.",
    ["pixels"],
)
HEATMAPS = Counter(
    "detector_worker_heatmaps_total",
    "Heatmaps asked for: `done`, `refused`, `postponed` or `nothing_to_do`.",
    ["result"],
)

# Series that exist from the start: Prometheus sees an increase only between two samples.
for _outcome in ("real", "ai_generated", "uncertain", "failed", "postponed"):
    IMAGES.labels(_outcome)
for _result in ("done", "nothing_to_do", "error"):
    CHUNKS.labels(_result)
for _label in ("real", "ai_generated", "uncertain"):
    CONCLUSIONS.labels(_label)
for _result in ("kept", "flipped"):
    SECOND_LOOKS.labels(_result)
for _network in ("view", "tiles"):
    PHOTOS_ENDED.labels(_network)
for _result in ("done", "refused"):
    MODEL_SWAPS.labels(_result)
for _result in ("done", "refused", "postponed", "nothing_to_do"):
    HEATMAPS.labels(_result)
