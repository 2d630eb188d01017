"""The tiny autoencoder of FLUX.2's latent space (taef2 of madebyollin/taesd, MIT licence).

A photo passed through it keeps its content and takes on what a latent generator's decoder leaves
behind. The networks are plain sequences, built here from the published description so that the
published state dicts load strictly.
"""

from pathlib import Path

import torch
from torch import nn

_WIDTH = 64
LATENT_CHANNELS = 32
# Sides of the photos must be a multiple of this.
STRIDE = 8


class _Pool(nn.Sequential):
    """Bottleneck at one resolution: 1x1 to four groups of 64, group norm, ReLU, 1x1 back."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(_WIDTH, 4 * _WIDTH, 1, bias=False),
            nn.GroupNorm(4, 4 * _WIDTH),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * _WIDTH, _WIDTH, 1, bias=False),
        )


class _Block(nn.Module):
    """Three 3x3 convolutions around an identity, after an optional `pool` of its own identity."""

    def __init__(self, *, pool: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv(_WIDTH, _WIDTH),
            nn.ReLU(),
            _conv(_WIDTH, _WIDTH),
            nn.ReLU(),
            _conv(_WIDTH, _WIDTH),
        )
        self.pool = _Pool() if pool else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class _Clamp(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x / 3) * 3


def _conv(inputs: int, outputs: int, *, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, stride=stride, bias=bias)


def build_encoder() -> nn.Sequential:
    """Return the encoder: float RGB 0..1 `[N, 3, H, W]` to latents `[N, 32, H/8, W/8]`."""
    layers: list[nn.Module] = [_conv(3, _WIDTH), _Block()]
    for stage in range(3):
        layers.append(_conv(_WIDTH, _WIDTH, stride=2, bias=False))
        layers += [_Block(pool=stage == 2) for _ in range(3)]
    return nn.Sequential(*layers, _conv(_WIDTH, LATENT_CHANNELS))


def build_decoder() -> nn.Sequential:
    """Return the decoder: latents `[N, 32, h, w]` to float RGB near 0..1 `[N, 3, 8h, 8w]`."""
    layers: list[nn.Module] = [_Clamp(), _conv(LATENT_CHANNELS, _WIDTH), nn.ReLU()]
    layers += [_Block(pool=True) for _ in range(3)]
    for stage in range(3):
        layers += [nn.Upsample(scale_factor=2), _conv(_WIDTH, _WIDTH, bias=False)]
        layers += [_Block() for _ in range(3 if stage < 2 else 1)]
    return nn.Sequential(*layers, _conv(_WIDTH, 3))


def load_autoencoder(encoder: Path, decoder: Path) -> nn.Sequential:
    """Return both in sequence with the published weights, in evaluation mode.

    Raises RuntimeError when a file is of another architecture.
    """
    parts = build_encoder(), build_decoder()
    for part, path in zip(parts, (encoder, decoder), strict=True):
        part.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return nn.Sequential(*parts).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
