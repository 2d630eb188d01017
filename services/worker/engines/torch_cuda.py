"""GPU engine: the package's weights in torch, in half precision on CUDA."""

import torch

from services.worker.engines.port import Evidence, Images, Predictions
from shared.ml.network import has_evidence, load_detector
from shared.ml.package import ModelPackage

BATCH_SIZE = 128


class TorchEngine:
    """See `Engine`. On CUDA: float16 autocast, channels-last, a pinned staging buffer.

    Batches are padded up to a power of two, so that cuDNN and the allocator see few shapes.
    Without CUDA it runs in float32 on the CPU, where OpenVINO is several times faster.
    """

    def __init__(
        self, package: ModelPackage, batch_size: int = 0, device: str | None = None
    ) -> None:
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.name = f"torch-{self._device.type}"
        self.batch_size = batch_size or BATCH_SIZE
        self._network = load_detector(package, str(self._device))
        spec = package.manifest.preprocess
        self._staging = torch.zeros(
            (_bucket(self.batch_size), *spec.shape),
            dtype=torch.uint8,
            pin_memory=self._device.type == "cuda",
        )

    @torch.inference_mode()
    def predict(self, images: Images) -> Predictions:
        """Run one forward pass over `images` padded to the next power of two."""
        count = len(images)
        staged = self._staging[: _bucket(count)]
        staged[:count].copy_(torch.from_numpy(images))
        on_device = staged.to(self._device, non_blocking=True)
        with torch.autocast(self._device.type, torch.float16, self._device.type == "cuda"):
            logits, pooled = self._network.pooled(on_device)
        embedding = self._network.embedding(pooled)
        # Reading the result waits for the copy and the pass: the staging buffer is free again.
        return Predictions(
            logits[:count].float().cpu().numpy(),
            None if embedding is None else embedding[:count].cpu().numpy(),
        )

    @torch.inference_mode()
    def explain(self, image: Images) -> tuple[float, Evidence] | None:
        """See `Engine.explain`; in float32, where `predict` takes half precision on CUDA."""
        if not has_evidence(self._network.backbone):
            return None
        on_device = torch.from_numpy(image[None]).to(self._device)
        logits, evidence = self._network.explained(on_device)
        return float(logits[0]), evidence[0].cpu().numpy()


def _bucket(count: int) -> int:
    """Return the smallest power of two that is not below `count`."""
    return 1 << max(0, count - 1).bit_length()
