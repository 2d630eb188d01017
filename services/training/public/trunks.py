"""Networks that the members can start from: name, licence, input, and whether they can be served.

The package's graph of the view reads class tokens of a CLIP ViT: a norm before the blocks and
QuickGELU in them. The graph of the tiles reads an EfficientNet-Lite. Other networks can be trained
and compared here, not packaged; `obstacle` says why.
"""

from dataclasses import dataclass

from services.training.errors import TrainingError
from shared.ml.spec import Normalization

CLIP = Normalization(
    mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711)
)
IMAGENET = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
HALF = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))

_GELU = "its blocks have GELU, the package's graph has QuickGELU"
_DINO = "it scales its blocks' outputs and has no norm before them, as the package's graph has"
_SQUEEZE = "it has squeeze-and-excitation and SiLU, the package's graph is of EfficientNet-Lite"


@dataclass(frozen=True, slots=True)
class Network:
    """A network in timm, with the licence of its weights.

    `patch` is None for the tiles' networks. `obstacle` None can be packaged: for a view it means
    that the class-token route applies.
    """

    timm_name: str
    licence: str
    size: int
    normalization: Normalization
    patch: int | None = None
    obstacle: str | None = None


# Sizes are those of the weights; positions are interpolated where the stack has another size.
# Licences are the authors': OpenAI's and OpenCLIP's repositories and model cards (MIT), Meta's
# DINOv2 (Apache-2.0), timm (Apache-2.0).
TRUNKS: dict[str, Network] = {
    # The one that releases so far are on.
    "clip-b16-openai": Network("vit_base_patch16_clip_quickgelu_224.openai", "MIT", 224, CLIP, 16),
    "clip-l14-openai": Network("vit_large_patch14_clip_quickgelu_224.openai", "MIT", 224, CLIP, 14),
    "openclip-b32-laion400m": Network(
        "vit_base_patch32_clip_quickgelu_224.laion400m_e32", "MIT", 224, CLIP, 32
    ),
    "openclip-b16-laion2b": Network(
        "vit_base_patch16_clip_224.laion2b", "MIT", 224, CLIP, 16, _GELU
    ),
    "openclip-l14-laion2b": Network(
        "vit_large_patch14_clip_224.laion2b", "MIT", 224, HALF, 14, _GELU
    ),
    "dinov2-s14": Network(
        "vit_small_patch14_dinov2.lvd142m", "Apache-2.0", 518, IMAGENET, 14, _DINO
    ),
    "dinov2-b14": Network(
        "vit_base_patch14_dinov2.lvd142m", "Apache-2.0", 518, IMAGENET, 14, _DINO
    ),
}

TILES: dict[str, Network] = {
    "efficientnet-lite0": Network("tf_efficientnet_lite0.in1k", "Apache-2.0", 224, HALF),
    "efficientnet-b0": Network(
        "efficientnet_b0.ra_in1k", "Apache-2.0", 224, IMAGENET, obstacle=_SQUEEZE
    ),
}


def known(table: dict[str, Network], name: str) -> Network:
    """Return a network by its name here. Raises TrainingError that lists the known ones."""
    if name not in table:
        raise TrainingError(f"{name} is not a known network; known are {', '.join(table)}")
    return table[name]
