"""From an ear's features to the embeddings of a language model: LayerNorm and two linear layers with GELU between.

The ear stays as it was pretrained; the adapter is what learns where speech lies among the language model's words.

Source: the two-layer projector of LLaVA-1.5 (Liu et al. 2023), used for speech by ELLSA. Needs: torch. Does not mix
moments: each feature vector becomes one embedding.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError


class SpeechAdapter(nn.Module, Configurable):
    """Features (…, width_in) to embeddings (…, width_out)."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Widths of the features, of the embeddings, and of the layer between."""

        width_in: int = 384
        width_out: int = 576
        hidden: int = 768

        def __post_init__(self) -> None:
            for name in ("width_in", "width_out", "hidden"):
                if getattr(self, name) < 1:
                    raise StrettoError(
                        f"Expected SpeechAdapter.Config.{name} of at least 1, got {getattr(self, name)}."
                    )

        @classmethod
        def tiny(cls) -> "SpeechAdapter.Config":
            """Fits the tiny ear and a model 16 wide."""
            return cls(width_in=32, width_out=16, hidden=32)

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.norm = nn.LayerNorm(config.width_in)
        self.up = nn.Linear(config.width_in, config.hidden)
        self.down = nn.Linear(config.hidden, config.width_out)

    def forward(self, features: Float[Tensor, "*rows width_in"]) -> Float[Tensor, "*rows width_out"]:
        """Embeddings of features; any number of leading axes."""
        return self.down(nn.functional.gelu(self.up(self.norm(features))))

    def step(
        self, features: Float[Tensor, "batch embeddings width_in"], last: Tensor | None
    ) -> tuple[Float[Tensor, "batch embeddings width_out"], Tensor | None]:
        """The embeddings of the next tick of sessions. No sounds are read from it."""
        return self(features), last
