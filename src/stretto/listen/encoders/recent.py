"""The last sounds that were made, told one by one: what a tick of speech says, whatever its speed.

Speech comes in grains of equal time, words are strings of sounds. Whoever reads grains has to find for every word anew
where one sound ends and the next begins, and to count them. Here a readout names the sound in every frame of 20 ms;
runs of one name are one sound, and the last few of these stand side by side in each tick's embeddings, the newest
first, each as the readout's doubts have it and with its age in ticks. So "the third sound from the end" has a place.

    recent = RecentSounds.Config(width=192, kinds=43, width_out=256).build()
    chances = recent.chances(found)              (batch, ticks, 10, 192) -> (batch, ticks, 10, 44), logarithms
    embeddings = recent(chances)                 (batch, ticks, 256)
    embedding, state = recent.step(found, None)              the same, tick by tick

Source: only the frames in which a CTC readout fires are handed on (phone synchronous decoding, Chen et al. 2016;
compression of speech by CTC, Gaido et al. 2021). Needs: torch. Does not know which sounds there are, nor how the
readout learns (train/hear_sounds.py).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError


class RecentSounds(nn.Module, Configurable):
    """Grains of ticks to the sound in each frame, and these to an embedding a tick."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`width` of a grain's state; of a tick's grains the first `settled` are read, `each` frames from one. `kinds`
        of sounds; the last `places` of them are told, where they are no older than `ticks`. `width_out`: of an
        embedding.
        """

        width: int = 192
        settled: int = 5
        each: int = 2
        kinds: int = 43
        places: int = 12
        ticks: int = 6
        width_out: int = 256

        def __post_init__(self) -> None:
            for name in ("width", "settled", "each", "kinds", "places", "ticks", "width_out"):
                if getattr(self, name) < 1:
                    raise StrettoError(f"Expected RecentSounds.Config.{name} of at least 1, got {getattr(self, name)}.")

        @classmethod
        def tiny(cls) -> "RecentSounds.Config":
            """One grain of one frame a tick, two kinds."""
            return cls(width=8, settled=1, each=1, kinds=2, places=2, ticks=2, width_out=4)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.frames = config.settled * config.each
        self.readout = nn.Linear(config.width, config.each * (1 + config.kinds))
        self.out = nn.Linear(config.places * (config.kinds + config.ticks), config.width_out, bias=False)
        nn.init.zeros_(self.out.weight)

    def chances(self, found: Float[Tensor, "batch ticks grains width"]) -> Float[Tensor, "batch ticks frames sounds"]:
        """Logarithms of the chances of no sound (0) and of each kind, in every frame."""
        scores = self.readout(found[:, :, : self.config.settled])
        return F.log_softmax(scores.unflatten(-1, (self.config.each, -1)).flatten(2, 3).float(), -1)

    def forward(self, chances: Float[Tensor, "batch ticks frames sounds"]) -> Float[Tensor, "batch ticks out"]:
        """Embeddings of sessions from their first tick on. Nothing is learned through the chances."""
        return self.out(self.told(chances.detach()).to(self.out.weight.dtype))

    def told(self, chances: Float[Tensor, "batch ticks frames sounds"]) -> Float[Tensor, "batch ticks told"]:
        """For every tick and place: the chance of each kind of sound, and how many ticks ago it began (one of them is
        1); zeros where no sound stands.
        """
        c = self.config
        batch, ticks, frames, _ = chances.shape
        every = chances.flatten(1, 2)
        kind = every.argmax(-1)
        begins = (kind > 0) & (kind != F.pad(kind[:, :-1], (1, 0)))
        number = begins.cumsum(1)
        place = torch.arange(every.shape[1], device=chances.device).expand_as(kind)
        where = F.pad(torch.zeros_like(number), (0, 1))
        where = where.scatter(1, torch.where(begins, number - 1, every.shape[1]), place)
        wanted = number[:, frames - 1 :: frames, None] - 1 - torch.arange(c.places, device=chances.device)
        frame = where.gather(1, wanted.clamp(min=0).flatten(1))
        age = torch.arange(ticks, device=chances.device)[:, None] - frame.view_as(wanted) // frames
        stands = (wanted >= 0) & (age < c.ticks)
        sound = every.exp().gather(1, frame[..., None].expand(-1, -1, every.shape[-1]))[..., 1:]
        ages = F.one_hot(torch.where(stands, age, 0), c.ticks)
        both = torch.cat([sound.view(batch, ticks, c.places, -1), ages.to(sound.dtype)], -1)
        return (both * stands[..., None]).flatten(2)

    def step(
        self, found: Float[Tensor, "batch 1 grains width"], state: Tensor | None
    ) -> tuple[Float[Tensor, "batch 1 out"], Tensor]:
        """The embedding of the next tick; `state`: chances of the last ticks, None before the first."""
        every = torch.cat([self._nothing(len(found)) if state is None else state, self.chances(found)], 1)
        return self(every)[:, -1:], every[:, 1:]

    def _nothing(self, batch: int) -> Tensor:
        """No sound in the ticks before the first."""
        none = torch.full((batch, self.config.ticks, self.frames, 1 + self.config.kinds), float("-inf"))
        none[..., 0] = 0.0
        return none
