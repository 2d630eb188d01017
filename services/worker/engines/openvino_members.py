"""CPU engine of packages of members: two OpenVINO graphs, made from the stored weights."""

import contextlib
import ctypes
import gc
from collections.abc import Iterable

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from services.worker.engines.members import coarsest, explained, judged, member_precisions
from services.worker.engines.openvino import check_precision, configuration
from services.worker.engines.port import Explained, Images, Logits, Predictions
from shared.ml.members.graphs import tiles_model, view_model
from shared.ml.package import ModelPackage
from shared.ml.precision import Precision, cpu_precisions, processor

# What a batch holds should fit a processor's cache: 16 is slower than this.
BATCH_SIZE = 8

_Found = dict[str, NDArray[np.float32]]


class OpenVinoMembersEngine:
    """See `Engine`. Takes uint8 RGB `[N, 1 + K, S, S, 3]`, and normalises inside.

    The view runs over the batch, then the tiles of those photos whose verdict they could change,
    photo by photo. Each compiled size of the view holds its weights once more, a quarter of a
    gigabyte in float32: there are two.

    Raises NoEngineError or PackageError for a `precision` that is not to be had, and PackageError
    for weights that are not those of the architecture.
    """

    def __init__(
        self,
        package: ModelPackage,
        threads: int = 0,
        batch_size: int = 0,
        precision: Precision | None = None,
    ) -> None:
        self._manifest = package.manifest
        self.batch_size = batch_size or BATCH_SIZE
        self.precisions = member_precisions(package, cpu_precisions(processor()), precision)
        self.precision = coarsest(self.precisions)
        self.name = f"openvino-cpu-{self.precision}"
        tiles = package.manifest.preprocess.shape[0] - 1

        def graph(model: ov.Model, name: str, sizes: Iterable[int]) -> _Graph:
            return _Graph(model, set(sizes), self.precisions[name], threads)

        view = view_model(package)
        _give_back()
        self._view = graph(view, "view", (1, self.batch_size))
        # Two graphs of few weights: verdicts need no evidence, which costs every tile some time.
        self._tiles = graph(tiles_model(package, evidence=False), "tiles", [tiles])
        self._explained_tiles = graph(tiles_model(package, evidence=True), "tiles", [tiles])

    def predict(self, images: Images) -> Predictions:
        """See `Engine.predict`."""
        found = self._view.run(images[:, 0])
        return judged(
            images, self._manifest, found["logits"], found["embedding"], self._look_at_tiles
        )

    def explain(self, image: Images) -> Explained | None:
        """See `Engine.explain`."""
        found = self._view.run(image[None, 0])
        maps = []

        def look_at_tiles(tiles: Images) -> Logits:
            read = self._explained_tiles.run(tiles[0])
            maps.append(read["evidence"])
            return np.array([read["logits"].mean()], np.float32)

        predictions = judged(
            image[None], self._manifest, found["logits"], found["embedding"], look_at_tiles
        )
        tiles = maps[0] if maps else None
        return explained(predictions, found["evidence"][0], tiles, self._manifest)

    def _look_at_tiles(self, tiles: Images) -> Logits:
        count, each = tiles.shape[:2]
        logits = self._tiles.run(tiles.reshape(-1, *tiles.shape[2:]))["logits"]
        return np.array(logits.reshape(count, each).mean(1), np.float32)


def _give_back() -> None:
    """Return freed memory to the system.

    The weights as they were read are a quarter of a gigabyte, which glibc would keep for later.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


class _Graph:
    """A model compiled for a few fixed batch sizes: a fixed shape runs faster than a dynamic one.

    Both sizes have run once when it is made, so that the first photo waits for no memory.
    """

    def __init__(
        self, model: ov.Model, sizes: set[int], precision: Precision, threads: int
    ) -> None:
        core = ov.Core()
        shape = [dimension.get_length() for dimension in list(model.input().partial_shape)[1:]]
        self._requests: dict[int, ov.InferRequest] = {}
        for size in sorted(sizes):
            model.reshape([size, *shape])
            compiled = core.compile_model(model, "CPU", configuration(precision, threads))
            check_precision(compiled, precision)
            self._requests[size] = compiled.create_infer_request()
            self._pass(size, np.zeros((size, *shape), np.uint8))
        self._full, self._single = max(sizes), 1 in sizes

    def run(self, images: Images) -> _Found:
        """Return every output for `images` uint8 `[N, S, S, 3]`, however many they are."""
        parts, start = [], 0
        while start < len(images):
            part = images[start : start + self._full]
            # A padded pass costs as much as a full one: under a quarter of it singles are cheaper.
            if self._single and len(part) * 4 <= self._full:
                part = part[:1]
            parts.append(self._padded(part))
            start += len(part)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _padded(self, images: Images) -> _Found:
        count = len(images)
        size = 1 if count == 1 and self._single else self._full
        if count < size:
            padded = np.zeros((size, *images.shape[1:]), np.uint8)
            padded[:count] = images
            images = padded
        return {name: value[:count] for name, value in self._pass(size, images).items()}

    def _pass(self, size: int, images: Images) -> _Found:
        request = self._requests[size]
        request.infer([np.ascontiguousarray(images)], share_inputs=True)
        # The tensors are the request's own buffers: copy before the next pass overwrites them.
        return {
            output.get_any_name(): np.array(request.get_tensor(output).data, dtype=np.float32)
            for output in request.model_outputs
        }
