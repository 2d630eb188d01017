"""Networks that the members can start from: name, licence, input, and whether they fit.

The view's network reads class tokens of a CLIP ViT: a norm before the blocks, QuickGELU in them.
`obstacle` says why that class-token route does not apply to a trunk. Packages so far are of one
trunk and one network for the tiles; with others the folds are trained and judged, no more.
"""

from dataclasses import dataclass

from shared.ml.spec import Normalization

CLIP = Normalization(
    mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711)
)
IMAGENET = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
HALF = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))

_GELU = "its blocks have GELU, the view's network has QuickGELU"
_DINO = "it scales its blocks' outputs and has no norm before them, unlike the view's network"


@dataclass(frozen=True, slots=True)
class Network:
    """A network in timm, with the licence of its weights.

    `patch` is None for the tiles' networks. `packaged` says whether a package can be made of it.
    """

    timm_name: str
    licence: str
    size: int
    normalization: Normalization
    patch: int | None = None
    # Why the class-token route does not apply; None where it does.
    obstacle: str | None = None
    packaged: bool = False


# Sizes are those of the weights; the stack's size must be the same.
# Licences are the authors': OpenAI's and OpenCLIP's repositories and model cards (MIT), Meta's
# DINOv2 (Apache-2.0), timm (Apache-2.0).
TRUNKS: dict[str, Network] = {
    # The one that releases so far are on.
    "clip-b16-openai": Network(
        "vit_base_patch16_clip_quickgelu_224.openai", "MIT", 224, CLIP, 16, packaged=True
    ),
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
    "efficientnet-lite0": Network(
        "tf_efficientnet_lite0.in1k", "Apache-2.0", 224, HALF, packaged=True
    ),
    "efficientnet-b0": Network("efficientnet_b0.ra_in1k", "Apache-2.0", 224, IMAGENET),
}


def known(table: dict[str, Network], name: str) -> Network:
    """Return a network by its name here. Raises ValueError that lists the known ones."""
    if name not in table:
        raise ValueError(f"{name} is not a known network; known are {', '.join(table)}")
    return table[name]
