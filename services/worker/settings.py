"""Settings of one worker process (`DETECTOR_WORKER_*`)."""

import os
from typing import Literal

from pydantic import Field, FilePath

from services.worker.provenance.decide import Conclusive
from shared.core.settings import BaseAppSettings
from shared.registry.settings import RegistrySettings


class WorkerSettings(BaseAppSettings, RegistrySettings):
    """Sizes of the three stages and of the lease."""

    # Chunk tasks under way at once: while one waits for its batch, others fetch and decode.
    worker_concurrency: int = Field(default=4, ge=1)
    # Threads that read from S3; each holds at most one photo's bytes, which bounds the memory.
    worker_fetch_threads: int = Field(default=8, ge=1)
    # Threads that decode (Pillow releases the GIL while it does).
    worker_decode_threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    # Bytes of memory of all photos that are decoded at once; a 50-megapixel one takes 600 MB.
    worker_decode_bytes: int = Field(default=768 * 1024 * 1024, ge=1)
    # Chunks of bulk catalogs under way at once, besides the former; 0 leaves catalogs to others.
    worker_bulk_concurrency: int = Field(default=2, ge=0)
    # Threads that fetch and decode catalogs' photos, at a lower CPU priority than the others.
    worker_bulk_threads: int = Field(default_factory=lambda: (os.cpu_count() or 1) + 1, ge=1)
    # "auto" takes CUDA torch where a GPU is, else OpenVINO on the CPU.
    worker_engine: Literal["auto", "openvino", "torch"] = "auto"
    # What the network computes in, one that the package was measured in. "auto" takes the first of
    # the package's list that engine and processor have (docs/evaluation.md).
    worker_precision: Literal["auto", "f32", "bf16", "f16", "int8"] = "auto"
    # Images of one forward pass at most; 0 takes the engine's own (16 on CPU, 128 on GPU).
    worker_batch_size: int = Field(default=0, ge=0)
    # Milliseconds the oldest image of a batch waits for others. A lone photo pays this once.
    worker_batch_wait_ms: float = Field(default=8.0, ge=0)
    # CPU threads of the OpenVINO engine; 0 takes all.
    worker_inference_threads: int = Field(default=0, ge=0)
    # Answer a photo with the verdict of the tenant's earlier one that has the same bytes and was
    # judged by the same model with the same settings.
    worker_reuse_verdicts: bool = True
    # Seconds until the images of a dead worker may be taken by another; renewed every third of it.
    worker_lease_seconds: float = Field(default=30.0, gt=0)
    # Larger images are refused from their header; the gateway's limit should be the same.
    worker_max_pixels: int = Field(default=52_000_000, ge=1)
    # Seconds a stopping worker gives its running chunks.
    worker_shutdown_seconds: float = Field(default=25.0, gt=0)
    # Address on which /metrics answers.
    worker_metrics_host: str = "127.0.0.1"
    # Its port; 0 takes a free one and logs it.
    worker_metrics_port: int = Field(default=9101, ge=0, le=65535)
    # Alias of the model registry whose version serves, such as `champion`, followed while running.
    # Empty: DETECTOR_MODEL_DIR serves and no registry is asked (docs/registry.md).
    worker_model_alias: str = ""
    # Seconds between two looks at that alias.
    worker_model_poll_s: float = Field(default=10.0, gt=0)
    # Share of real photos that may be called AI-generated, one of those that the package was
    # calibrated for (its MODEL_CARD.md lists them). Empty: the package's default, 0.01.
    worker_false_accusation_budget: float | None = Field(default=None, gt=0, lt=1)
    # PEM file of certificates under which signers of C2PA manifests are trusted. None is shipped:
    # without it no signer is trusted (docs/evidence.md).
    worker_provenance_trust_anchors: FilePath | None = None
    # Which statements "made by a generator" in a photo's metadata decide its verdict: `trusted`
    # intact C2PA claims of trusted signers, `signed` those of any signer, `stated` (or `declared`,
    # its earlier name) also IPTC's source type, China's AIGC label and generators' own parameters,
    # `never` none. Names and free text never decide. All of them are evidence in any case.
    worker_provenance_conclusive: Conclusive = Conclusive.STATED
    # Seconds that reading one C2PA manifest may take; then the photo is judged without it.
    worker_provenance_seconds: float = Field(default=5.0, gt=0)
