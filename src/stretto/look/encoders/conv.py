"""A small image tokenizer, trained from scratch: strided convolutions down to a grid of cells, one token per cell.

Each stage halves the picture (3×3 convolution of stride 2, GroupNorm, GELU); 128 px become a 4×4 grid in five stages.
A cell's vector gets the width of the expert that reads it and a learned embedding that says which cell it is, because
all tokens of one picture share one position in the backbone. GroupNorm, not BatchNorm: a live session is a batch of
one. A token sees 63 of 128 px across; attention joins them.

Source: strided stems in place of patches are those of Xiao et al., "Early Convolutions Help Transformers See Better"
(2021). Needs: torch, nothing pretrained. Does not know cameras or time: two cameras share the weights, and the reader
of the tokens says which is which. Logs nothing.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError

GROUPS = 8
"""Groups of every GroupNorm; each stage's channels are a multiple of it."""


class ConvTokens(nn.Module, Configurable):
    """Square RGB pictures as a grid of tokens. 0.73 M parameters at its default size."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`size` px a side; `tokens` a square number; `channels` of each halving stage, as many as lead to the grid."""

        size: int = 128
        tokens: int = 16
        width: int = 256
        channels: tuple[int, ...] = (24, 48, 96, 192, 256)

        def __post_init__(self) -> None:
            if self.tokens < 1 or math.isqrt(self.tokens) ** 2 != self.tokens or self.width < 1:
                raise StrettoError(
                    f"ConvTokens expects a square number of tokens (4, 16, 64 ...) and a width of at least 1, "
                    f"got tokens={self.tokens}, width={self.width}."
                )
            reached = self.grid * 2 ** len(self.channels)
            if reached != self.size:
                raise StrettoError(
                    f"ConvTokens expects size = {self.grid} cells × 2 for each of its {len(self.channels)} stages "
                    f"= {reached} px, got {self.size}. Change size, tokens or the number of channels."
                )
            if not self.channels or any(channels < 1 or channels % GROUPS for channels in self.channels):
                raise StrettoError(
                    f"ConvTokens expects at least one stage and channels that are multiples of {GROUPS}, "
                    f"got {self.channels}."
                )

        @property
        def grid(self) -> int:
            """Cells a side."""
            return math.isqrt(self.tokens)

        @classmethod
        def tiny(cls) -> "ConvTokens.Config":
            """32 px, 16 tokens 16 wide."""
            return cls(size=32, tokens=16, width=16, channels=(8, 8, 16))

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        stages: list[nn.Module] = []
        for before, after in zip((3, *config.channels), config.channels, strict=False):
            stages += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(GROUPS, after), nn.GELU()]
        self.stages = nn.Sequential(*stages)
        self.out = nn.Linear(config.channels[-1], config.width)
        self.cell = nn.Parameter(0.02 * torch.randn(config.tokens, config.width))

    def forward(self, images: Tensor) -> Float[Tensor, "*batch tokens width"]:
        """Tokens of pictures (..., 3, size, size): uint8 of 0 to 255, or floating point of 0 to 1.

        The cells come row by row from the top left. Pictures of another size or type raise StrettoError.
        """
        self._check(images)
        batch, size = images.shape[:-3], self.config.size
        scale = 127.5 if images.dtype == torch.uint8 else 0.5
        # channels last is faster forward, and slower back through the norms
        layout = torch.contiguous_format if torch.is_grad_enabled() else torch.channels_last
        planes = images.reshape(-1, 3, size, size).to(self.cell.dtype, memory_format=layout)
        tokens = self.out(self.stages(planes / scale - 1).flatten(2).transpose(1, 2)) + self.cell
        return tokens.reshape(*batch, *self.cell.shape)

    def live(self) -> "ConvTokens":
        """For real time, in place: weights laid out as pictures are without gradients."""
        self.stages.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self.eval()

    def _check(self, images: Tensor) -> None:
        size = self.config.size
        if images.shape[-3:] != (3, size, size):
            raise StrettoError(
                f"ConvTokens expects pictures of shape (..., 3, {size}, {size}), got {tuple(images.shape)}. Render at "
                f"{size} px, channels first."
            )
        if images.dtype != torch.uint8 and not images.is_floating_point():
            raise StrettoError(f"ConvTokens expects uint8 (0 to 255) or floating point (0 to 1), got {images.dtype}.")
