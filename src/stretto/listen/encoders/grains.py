"""From the grains of an ear to embeddings: each grain is read beside its neighbours before a tick's grains are joined.

A sound of speech may fall on any grain of a tick. One matrix over all grains side by side (adapter.py) learns every
sound anew for every place; here all grains go through the same few layers, which also read the grains before and after
them in the tick, and only what these found is joined into the tick's embeddings. Which sounds were made is read from
it, too (sound_readout.py), and kept for some ticks beside the embeddings.

    adapter = GrainAdapter.Config(width_in=384, grains=5, embeddings=2, width_out=256).build()
    found = adapter.read(features)         (…, ticks * 2, 5 * 384) -> (…, ticks, 10, 192)
    embeddings = adapter.join(found)       (…, ticks * 2, 256), what `adapter(features)` gives
    embeddings, chances = adapter.step(features, None)          (batch, 2, 5 * 384) -> (batch, 2, 256), the first tick

Source: shared layers over time under a wider context (time-delay networks, Waibel et al. 1989). Needs: torch. An
embedding sees no other tick.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.listen.encoders.sound_readout import SoundReadout


class GrainAdapter(nn.Module, Configurable):
    """Features (…, ticks * embeddings, grains * width_in) to embeddings (…, ticks * embeddings, width_out)."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`width_in` of a grain's features, `grains` of an embedding, `embeddings` of a tick; `width` and `layers` of
        what reads grains, `width_out` of an embedding. Of a tick's grains the first `settled` know what follows them:
        of these one of `kinds` sounds is read in each of `each` frames.
        """

        width_in: int = 384
        grains: int = 5
        embeddings: int = 2
        width: int = 192
        layers: int = 3
        width_out: int = 256
        settled: int = 5
        each: int = 2
        kinds: int = 43

        def __post_init__(self) -> None:
            for name in ("width_in", "grains", "embeddings", "width", "layers", "width_out"):
                if getattr(self, name) < 1:
                    raise StrettoError(f"Expected GrainAdapter.Config.{name} of at least 1, got {getattr(self, name)}.")
            if self.settled > self.grains * self.embeddings:
                raise StrettoError(
                    f"Expected GrainAdapter.Config.settled of at most a tick's {self.grains * self.embeddings} grains, "
                    f"got {self.settled}."
                )

        @classmethod
        def tiny(cls) -> "GrainAdapter.Config":
            """Fits the tiny ear with one grain an embedding."""
            return cls(width_in=32, grains=1, width=16, layers=1, width_out=16, settled=1, each=5, kinds=2)

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.norm = nn.LayerNorm(config.width_in)
        self.enter = nn.Linear(config.width_in, config.width)
        self.layers = nn.ModuleList(_Layer(config.width) for _ in range(config.layers))
        self.leave = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.grains * config.width, config.width_out)
        self.sounds: SoundReadout = SoundReadout.Config(
            width=config.width, settled=config.settled, each=config.each, kinds=config.kinds
        ).build()

    def forward(self, features: Float[Tensor, "*rows embeddings features"]) -> Float[Tensor, "*rows embeddings out"]:
        """Embeddings of whole ticks. Raises StrettoError for a part of one."""
        return self.join(self.read(features))

    def read(self, features: Float[Tensor, "*rows embeddings features"]) -> Float[Tensor, "*rows ticks grains width"]:
        """What is found in every grain of every tick. Raises StrettoError for a part of a tick."""
        c = self.config
        if features.shape[-2] % c.embeddings or features.shape[-1] != c.grains * c.width_in:
            raise StrettoError(
                f"Expected features of whole ticks, (…, a multiple of {c.embeddings}, {c.grains * c.width_in}), got "
                f"{tuple(features.shape)}, in GrainAdapter."
            )
        x = self.enter(self.norm(features.unflatten(-1, (c.grains, c.width_in))))
        x = x.flatten(-3, -2).unflatten(-2, (-1, c.embeddings * c.grains))
        for layer in self.layers:
            x = layer(x)
        return self.leave(x)

    def join(self, found: Float[Tensor, "*rows ticks grains width"]) -> Float[Tensor, "*rows embeddings out"]:
        """The embeddings of ticks of which this was found."""
        c = self.config
        return self.out(found.flatten(-3, -2).unflatten(-2, (-1, c.grains)).flatten(-2))

    def step(
        self, features: Float[Tensor, "batch embeddings features"], last: Tensor | None
    ) -> tuple[Float[Tensor, "batch embeddings out"], Float[Tensor, "batch ticks frames sounds"]]:
        """The embeddings of the next tick of sessions, and the chances of sounds in the last ticks, which are `last` in
        the one after it. None is before the first.
        """
        found = self.read(features)
        return self.join(found), self.sounds.step(found, last)


class _Layer(nn.Module):
    """Each grain with the one before it and the one after it, in the same tick, added to itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(3 * width, width), nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "*rows grains width"]) -> Float[Tensor, "*rows grains width"]:
        """Zeros stand beyond the ends."""
        neighbours = F.pad(self.norm(x), (0, 0, 1, 1)).unfold(-2, 3, 1).transpose(-1, -2).flatten(-2)
        return x + self.down(F.gelu(self.up(neighbours)))
