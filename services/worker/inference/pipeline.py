"""The three overlapped stages of one image: fetch → decode and preprocess → batched forward."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from services.worker.bulk import yield_to_others
from services.worker.engines.port import Engine, Images
from services.worker.engines.serial import SerialEngine
from services.worker.inference.batcher import BatchError, MicroBatcher
from services.worker.inference.budget import ByteBudget
from services.worker.inference.explain import explain
from services.worker.inference.judged_with import judged_with
from services.worker.inference.told import told_by_networks
from services.worker.metrics import BATCH_SIZE, PHOTOS_ENDED, SECOND_LOOKS, STAGE_SECONDS
from services.worker.provenance.findings import Finding
from services.worker.provenance.verdict import Provenance
from shared.contracts.errors import IMAGE_ERROR_HELP, ImageErrorCode
from shared.contracts.states import Label
from shared.core.errors import ObjectCorrupt, ObjectMissing, StorageError
from shared.db.jobs.leases import LeasedImage
from shared.db.jobs.results import Failed, Judged
from shared.ml.errors import UnreadableImage
from shared.ml.formats.encoder_quality import encoder_quality
from shared.ml.formats.header import read_header
from shared.ml.heatmap import Heatmap
from shared.ml.package import ModelPackage
from shared.ml.postprocess import Judgement, judge, needs_second_look, settle
from shared.ml.preprocess import BYTES_PER_PIXEL, preprocess
from shared.ml.recheck import reencode
from shared.storage.port import ObjectStore

# Reads that gave other bytes than were stored, before the object is given up as damaged.
MAX_CORRUPT_READS = 8
# Tries of a photo for which there was not enough memory.
MAX_MEMORY_TRIES = 5
DEFAULT_DECODE_BYTES = 768 * 1024 * 1024
# A bulk batch is this part of a full one: a lone photo may have to wait for the one under way.
BULK_BATCH_SHARE = 4


@dataclass(frozen=True, slots=True)
class Postponed:
    """A passing fault (the object store is away): the image goes back to the queue."""

    image_id: UUID
    attempts: int
    reason: str


Outcome = Judged | Failed | Postponed
_T = TypeVar("_T")


class _Found(NamedTuple):
    """What the network says of one photo.

    `told` is the evidence's entry about members; None for a package of one network.
    """

    logit: float
    embedding: tuple[float, ...] | None
    told: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Submitted:
    """Model input that the network is looking at, and what the file itself says."""

    array: Images
    found: Future[_Found]
    findings: Sequence[Finding]
    quality: int | None


@dataclass(frozen=True, slots=True)
class _Look:
    """A first judgement and, near a threshold, the second look."""

    judgement: Judgement
    found: _Found
    again: Future[_Found] | None
    submitted: _Submitted


_Staged = Failed | Postponed | _Submitted


class InferencePipeline:
    """Judges images; shared by all chunk tasks of the process, so batches form across chunks."""

    def __init__(
        self,
        store: ObjectStore,
        package: ModelPackage,
        engine: Engine,
        fetch_threads: int,
        decode_threads: int,
        batch_wait_seconds: float,
        max_pixels: int,
        bulk_threads: int = 2,
        decode_bytes: int = DEFAULT_DECODE_BYTES,
        provenance: Provenance | None = None,
        digest: str = "",
    ) -> None:
        """`digest` is that of the package directory, for the record only.

        Photos that are decoded at once have `decode_bytes` of memory together.
        """
        self._budget = ByteBudget(decode_bytes)
        self._store = store
        self._package = package
        self._manifest = package.manifest
        self._engine = SerialEngine(engine)
        self._max_pixels = max_pixels
        self._provenance = provenance or Provenance()
        # Every verdict of this pipeline has exactly these.
        self.judged_with = judged_with(package, digest, engine, self._provenance.facts)
        self._fetchers = ThreadPoolExecutor(fetch_threads, thread_name_prefix="fetch")
        # Catalogs' photos have threads of their own, which fetch and decode: were they to queue for
        # the others, a lone photo would wait behind a whole chunk.
        self._bulk = ThreadPoolExecutor(
            bulk_threads, thread_name_prefix="bulk", initializer=yield_to_others
        )
        self._decoders = ThreadPoolExecutor(decode_threads, thread_name_prefix="decode")
        self._batcher = MicroBatcher(
            self._predict,
            engine.batch_size,
            batch_wait_seconds,
            _observe_batch,
            max(1, engine.batch_size // BULK_BATCH_SHARE),
        )

    def run(self, images: Sequence[LeasedImage]) -> Iterator[Outcome]:
        """Yield one outcome for each image, in order; never raises for an image's own fault."""
        staged = [
            self._bulk.submit(self._stage, image, decode_here=True)
            if image.bulk
            else self._fetchers.submit(self._stage, image)
            for image in images
        ]
        # All first looks before any verdict: the second looks of a chunk share batches.
        looks = [
            self._first_look(image, future.result())
            for image, future in zip(images, staged, strict=True)
        ]
        for image, look in zip(images, looks, strict=True):
            yield self._conclude(image, look) if isinstance(look, _Look) else look

    def explain(self, data: bytes) -> Heatmap:
        """Return the heatmap of an encoded photo, between two batches; see `explain`."""
        with self._room(data):
            return explain(data, self._package, self._engine, self._max_pixels)

    def close(self) -> None:
        """Finish what is under way and end the threads."""
        self._fetchers.shutdown()
        self._decoders.shutdown()
        self._bulk.shutdown()
        self._batcher.close()
        self._provenance.close()

    def _stage(self, image: LeasedImage, *, decode_here: bool = False) -> _Staged:
        """Fetch and decode. The fetching thread waits for its decode, which bounds the memory."""
        try:
            data = _timed("fetch", lambda: self._fetch(image))
            if decode_here:
                array = _timed("decode", lambda: self._decode(data))
            else:
                decoding = self._decoders.submit(_timed, "decode", lambda: self._decode(data))
                array = decoding.result()
            found = self._batcher.submit(array, bulk=image.bulk)
            # While the batch forms and runs: C2PA signatures take longer than a forward pass.
            findings = _timed("provenance", lambda: self._provenance.read(data))
            return _Submitted(array, found, findings, encoder_quality(data))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is this image's alone (G4)
            return _explain(image, error)

    def _predict(self, images: Images) -> list[_Found]:
        predictions = self._engine.predict(images)
        logits, count = predictions.logits.tolist(), len(predictions.logits)
        embeddings: Sequence[tuple[float, ...] | None] = [None] * count
        if predictions.embeddings is not None:
            embeddings = [tuple(each) for each in predictions.embeddings.tolist()]
        told = told_by_networks(predictions) or [None] * count
        return [_Found(*each) for each in zip(logits, embeddings, told, strict=True)]

    def _fetch(self, image: LeasedImage) -> bytes:
        return self._store.get(image.object_key, image.size, image.sha256)

    def _decode(self, data: bytes) -> Images:
        with self._room(data):
            return preprocess(data, self._manifest.preprocess, self._max_pixels)

    def _room(self, data: bytes) -> AbstractContextManager[None]:
        """Hold the memory that decoding `data` takes; raises UnreadableImage for no header."""
        return self._budget.hold(read_header(data).pixels * BYTES_PER_PIXEL)

    def _first_look(self, image: LeasedImage, staged: _Staged) -> _Look | Failed | Postponed:
        if not isinstance(staged, _Submitted):
            return staged
        try:
            found = staged.found.result()
            judgement = judge(found.logit, self._manifest)
        except Exception as error:  # noqa: BLE001  # again this image's alone
            return _explain_forward(image, error)
        if found.told:
            PHOTOS_ENDED.labels(found.told["ended_at"]).inc()
        recheck = self._manifest.recheck
        if recheck is None or not needs_second_look(judgement, self._manifest):
            return _Look(judgement, found, None, staged)
        try:
            pixels = reencode(staged.array, recheck.jpeg_quality)
            again = self._batcher.submit(pixels, bulk=image.bulk)
        except Exception as error:  # noqa: BLE001
            return _explain_forward(image, error)
        return _Look(judgement, found, again, staged)

    def _conclude(self, image: LeasedImage, look: _Look) -> Outcome:
        judgement = look.judgement
        if look.again is not None:
            try:
                judgement = settle(judgement, look.again.result().logit, self._manifest)
            except Exception as error:  # noqa: BLE001
                return _explain_forward(image, error)
            kept = judgement.label == look.judgement.label
            SECOND_LOOKS.labels("kept" if kept else "flipped").inc()
        judged = Judged(
            image.id,
            self._manifest.version,
            Label(judgement.label),
            judgement.probability,
            judgement.confidence,
            judgement.logit,
            [*([look.found.told] if look.found.told else []), *judgement.evidence],
            self.judged_with,
            embedding=look.found.embedding,
            encoder_quality=look.submitted.quality,
        )
        return self._provenance.conclude(judged, look.submitted.findings)


def _explain(image: LeasedImage, error: Exception) -> Failed | Postponed:
    """Sort a failure once: passing (the store is away), or final for this image."""
    match error:
        case ObjectMissing():
            code = ImageErrorCode.OBJECT_MISSING
            return Failed(image.id, code, IMAGE_ERROR_HELP[code])
        case ObjectCorrupt() if image.attempts >= MAX_CORRUPT_READS:
            return Failed(image.id, ImageErrorCode.OBJECT_MISSING, str(error))
        case StorageError():
            return Postponed(image.id, image.attempts, str(error))
        case MemoryError():
            return _out_of_memory(image)
        case UnreadableImage():
            return Failed(image.id, ImageErrorCode(error.code), error.detail)
        case _:
            detail = f"{type(error).__name__}: {error}"
            return Failed(image.id, ImageErrorCode.UNREADABLE_IMAGE, detail)


def _explain_forward(image: LeasedImage, error: Exception) -> Failed | Postponed:
    """Sort a failure that came after the photo was decoded."""
    if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
        return _out_of_memory(image)
    detail = str(error) if isinstance(error, BatchError | ValueError) else repr(error)
    return Failed(image.id, ImageErrorCode.INFERENCE_FAILED, detail)


def _out_of_memory(image: LeasedImage) -> Failed | Postponed:
    """The machine's trouble, not the photo's: other work may be over the next time."""
    if image.attempts < MAX_MEMORY_TRIES:
        return Postponed(image.id, image.attempts, "out of memory")
    detail = "judging it takes more memory than the worker has"
    return Failed(image.id, ImageErrorCode.INFERENCE_FAILED, detail)


def _timed(stage: str, call: Callable[[], _T]) -> _T:
    started = time.perf_counter()
    try:
        return call()
    finally:
        STAGE_SECONDS.labels(stage).observe(time.perf_counter() - started)


def _observe_batch(size: int, seconds: float) -> None:
    BATCH_SIZE.observe(size)
    STAGE_SECONDS.labels("forward").observe(seconds)
