"""GPU engine: the package's weights in torch."""

import torch

from services.worker.engines.port import Explained, Images, Predictions, chosen_precision
from shared.ml.network import has_evidence, load_detector
from shared.ml.package import ModelPackage
from shared.ml.precision import Precision

BATCH_SIZE = 128


class TorchEngine:
    """See `Engine`. On CUDA: channels-last, a pinned staging buffer, and float16 autocast.

    The latter only for a package that was measured in f16; others run in float32, which is slower.
    Batches are padded up to a power of two, so that cuDNN and the allocator see few shapes.
    Without CUDA it runs in float32 on the CPU, where OpenVINO is several times faster.

    Raises NoEngineError or PackageError for a `precision` that is not to be had.
    """

    def __init__(
        self,
        package: ModelPackage,
        batch_size: int = 0,
        device: str | None = None,
        precision: Precision | None = None,
    ) -> None:
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        cuda = self._device.type == "cuda"
        self.precision = chosen_precision(package, ("f32", "f16") if cuda else ("f32",), precision)
        self.precisions: dict[str, Precision] = {}
        if cuda:
            # Else convolutions round float32 to 10 bits of mantissa, which nobody asked for.
            torch.backends.cudnn.allow_tf32 = False
        self.name = f"torch-{self._device.type}-{self.precision}"
        self.batch_size = batch_size or BATCH_SIZE
        self._network = load_detector(package, str(self._device))
        spec = package.manifest.preprocess
        self._staging = torch.zeros(
            (bucket(self.batch_size), *spec.shape),
            dtype=torch.uint8,
            pin_memory=cuda,
        )

    @torch.inference_mode()
    def predict(self, images: Images) -> Predictions:
        """Run one forward pass over `images` padded to the next power of two."""
        count = len(images)
        staged = self._staging[: bucket(count)]
        staged[:count].copy_(torch.from_numpy(images))
        on_device = staged.to(self._device, non_blocking=True)
        with torch.autocast(self._device.type, torch.float16, self.precision == "f16"):
            logits, pooled = self._network.pooled(on_device)
        embedding = self._network.embedding(pooled)
        # Reading the result waits for the copy and the pass: the staging buffer is free again.
        return Predictions(
            logits[:count].float().cpu().numpy(),
            None if embedding is None else embedding[:count].cpu().numpy(),
        )

    @torch.inference_mode()
    def explain(self, image: Images) -> Explained | None:
        """See `Engine.explain`; in float32, also where `predict` takes half precision."""
        if not has_evidence(self._network.backbone):
            return None
        on_device = torch.from_numpy(image[None]).to(self._device)
        logits, evidence = self._network.explained(on_device)
        return Explained(float(logits[0]), (evidence[0].cpu().numpy(),))


def bucket(count: int) -> int:
    """Return the smallest power of two that is not below `count`."""
    return 1 << max(0, count - 1).bit_length()
