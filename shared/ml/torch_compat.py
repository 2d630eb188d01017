"""Lets timm be imported beside a torch whose torchvision has no compiled operators."""

import importlib

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# A library's definitions vanish when it is collected, so it lives as long as the process.
_library: torch.library.Library | None = None


def ensure_torchvision_imports() -> None:
    """Import torchvision, declaring `torchvision::nms` and `::qnms` only where they are missing.

    torchvision's wheels are built for one torch variant. Beside a CPU torch its binary does not
    load, and `import timm` ends with "operator torchvision::nms does not exist", because
    torchvision registers a fake kernel for an operator that nobody declared. No network here calls
    these operators, so their schemas suffice. Call this before timm is imported.

    Raises RuntimeError when torchvision fails for another reason.
    """
    global _library
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error) or _library is not None:
            raise
        _library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for schema in _SCHEMAS:
            _library.define(schema)  # type: ignore[no-untyped-call]
        importlib.import_module("torchvision")
