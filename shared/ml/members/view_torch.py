"""The view's network in torch, for training and for GPU workers. Needs torch.

The same network as `shared.ml.members.view_graph` builds for OpenVINO, from the same weights. It
splits after the trunk, whose tokens training keeps: `trunk_tokens`, then `from_tokens`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

HEAD_SIZE = 64
_EPSILON = 1e-5


class Read(NamedTuple):
    """What the view's network says of N photos, float32.

    `logits` `[N]`; `tokens` `[N, B, D]`: the class token after each block; `evidence`
    `[N, g, g]`: what each patch adds to the logit through the class token's attention in the
    blocks behind the trunk.
    """

    logits: torch.Tensor
    tokens: torch.Tensor
    evidence: torch.Tensor


class Attention(nn.Module):
    """The linear layers of a block's attention, under timm's names."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)


class Mlp(nn.Module):
    """A block's two linear layers with QuickGELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return `[N, L, D]` of `[N, L, D]`."""
        hidden = self.fc1(x)
        return cast(torch.Tensor, self.fc2(hidden * torch.sigmoid(1.702 * hidden)))


class Block(nn.Module):
    """A transformer block of CLIP: attention and a QuickGELU MLP, each behind a norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD_SIZE
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=_EPSILON) for _ in range(2))
        self.attn, self.mlp = Attention(width), Mlp(width)

    def forward(self, x: torch.Tensor, *, class_only: bool = False) -> torch.Tensor:
        """Return the block's output `[N, L, D]`; with `class_only` `[N, 1, D]`, for less work."""
        q, k, v = self.qkv(x, class_only=class_only)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        rows = mixed.transpose(1, 2).flatten(2)
        x = (x[:, :1] if class_only else x) + self.attn.proj(rows)
        return cast(torch.Tensor, x + self.mlp(self.norm2(x)))

    def qkv(
        self, x: torch.Tensor, *, class_only: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return queries, keys and values `[N, heads, L, 64]`; queries of the class token alone."""
        normed, linear = self.norm1(x), self.attn.qkv
        width = x.shape[-1]
        if not class_only:
            q, k, v = linear(normed).chunk(3, -1)
        else:
            q = functional.linear(normed[:, :1], linear.weight[:width], linear.bias[:width])
            k, v = functional.linear(normed, linear.weight[width:], linear.bias[width:]).chunk(
                2, -1
            )
        return self._split(q), self._split(k), self._split(v)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:2], self.heads, HEAD_SIZE).transpose(1, 2)

    def pulled(self, x: torch.Tensor, pull: torch.Tensor) -> torch.Tensor:
        """Return what each position adds to the logit through the attention, `[N, L]`.

        `pull` `[D]` turns what this block adds to the class token into logits.
        """
        q, k, v = self.qkv(x, class_only=True)
        attention = torch.softmax(q @ k.transpose(2, 3) * HEAD_SIZE**-0.5, -1)
        direction = (pull @ self.attn.proj.weight).view(1, self.heads, HEAD_SIZE, 1)
        return (attention.squeeze(2) * (v @ direction).squeeze(3)).sum(1)


class ViewNetwork(nn.Module):
    """CLIP's first blocks with a linear head on the class token of each.

    Takes normalised photos float `[N, 3, S, S]`. The first `trunk_blocks` blocks and everything
    before them are the trunk.
    """

    def __init__(
        self, width: int, patch: int, patches: int, blocks: int, trunk_blocks: int
    ) -> None:
        super().__init__()
        self.trunk_blocks = trunk_blocks
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + patches, width))
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, width, patch, patch, bias=False)
        self.norm_pre = nn.LayerNorm(width, eps=_EPSILON)
        self.blocks = nn.ModuleList([Block(width) for _ in range(blocks)])
        self.head = nn.Linear(blocks * width, 1)

    @classmethod
    def from_weights(
        cls, weights: Mapping[str, NDArray[np.float32]], trunk_blocks: int
    ) -> "ViewNetwork":
        """Build the network that trunk and view weights together describe.

        Without `head.weight` (a trunk whose head is not trained yet) the head is zero.
        """
        kernel = weights["patch_embed.proj.weight"]
        blocks = 1 + max(int(key.split(".")[1]) for key in weights if key.startswith("blocks."))
        patches = weights["pos_embed"].size // kernel.shape[0] - 1
        network = cls(kernel.shape[0], kernel.shape[2], patches, blocks, trunk_blocks)
        state = {
            key: torch.from_numpy(np.ascontiguousarray(value))
            for key, value in weights.items()
            if not key.startswith("embedding.")
        }
        head = state.pop("head.weight", torch.zeros(network.head.in_features))
        state["head.weight"] = head.reshape(1, -1)
        state.setdefault("head.bias", torch.zeros(1))
        network.load_state_dict(state, strict=True)
        return network

    def forward(self, images: torch.Tensor) -> Read:
        """Read normalised photos `[N, 3, S, S]`."""
        x, tokens = self.trunk_tokens(images)
        return self.from_tokens(x, tokens)

    def trunk_tokens(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return all tokens `[N, L, D]` after the trunk, and its class tokens `[N, T, D]`."""
        cells = self._patches(images).flatten(2).transpose(1, 2)
        first = self.cls_token.expand(len(cells), -1, -1)
        x = self.norm_pre(torch.cat([first, cells], 1) + self.pos_embed)
        tokens = []
        for block in self.blocks[: self.trunk_blocks]:
            x = block(x)
            tokens.append(x[:, 0])
        return x, torch.stack(tokens, 1)

    def _patches(self, images: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, cast(nn.Conv2d, self.patch_embed.proj)(images))

    def from_tokens(self, x: torch.Tensor, tokens: torch.Tensor) -> Read:
        """Go on behind the trunk: `x` and `tokens` as `trunk_tokens` returns them."""
        found = [tokens]
        evidence = torch.zeros(x.shape[:2], device=x.device)
        upper = list(self.blocks[self.trunk_blocks :])
        for pull, block in zip(self.pulls(), upper, strict=True):
            evidence = evidence + block.pulled(x, pull)  # type: ignore[operator]
            x = block(x, class_only=block is upper[-1])
            found.append(x[:, :1])
        every = torch.cat(found, 1)
        side = round((self.pos_embed.shape[1] - 1) ** 0.5)
        cells = evidence[:, 1:].reshape(len(x), side, side)
        return Read(self.head(every.flatten(1))[:, 0], every, cells)

    def upper_tokens(self, x: torch.Tensor) -> torch.Tensor:
        """Return the class tokens `[N, B - T, D]` behind the trunk, without the evidence's cost."""
        found, upper = [], list(self.blocks[self.trunk_blocks :])
        for block in upper:
            x = block(x, class_only=block is upper[-1])
            found.append(x[:, 0])
        return torch.stack(found, 1)

    def pulls(self) -> Sequence[torch.Tensor]:
        """Return for each block behind the trunk what turns its addition into logits, `[D]`."""
        rows = self.head.weight[0].view(len(self.blocks), -1)
        after = torch.flip(torch.cumsum(torch.flip(rows, [0]), 0), [0])
        return list(after[self.trunk_blocks :])
