"""The sounds that are not written yet: what a slot that writes what it hears has still to write, from its beginning.

Which word a string of sounds is follows from where the last word ended. So each ask of the slot is shown the sounds
since then, one by one: runs of one kind in the readout's frames are one sound, the first of them always stands in the
first place, each with the readout's doubts and with its age in ticks. What was written moves on, what was missed stays.

    shown = unwritten(chances, written, tick)     (batch, frames, 1 + kinds), twice (batch, asks) -> (…, width)
    shown = unwritten.now(last, tick, written)    the same of asks at the end of some last ticks -> (batch, 1, width)

Source: only frames in which a CTC readout fires are handed on (phone synchronous decoding, Chen et al. 2016), behind
the pointer of a transducer (Graves 2012). Needs: torch. Does not know where words end (agents/evidence.py,
train/hear_batches.py).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError


class Unwritten(nn.Module, Configurable):
    """Chances of sounds to an embedding an ask."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`kinds` of sounds; the first `places` of those unwritten are shown, where they are no older than `ticks` of
        `frames`; `width`: of an embedding.
        """

        kinds: int = 43
        places: int = 10
        ticks: int = 6
        frames: int = 10
        width: int = 256

        def __post_init__(self) -> None:
            for name in ("kinds", "places", "ticks", "frames", "width"):
                if getattr(self, name) < 1:
                    raise StrettoError(f"Expected Unwritten.Config.{name} of at least 1, got {getattr(self, name)}.")

        @classmethod
        def tiny(cls) -> "Unwritten.Config":
            """Two kinds."""
            return cls(kinds=2, places=3, ticks=2, frames=4, width=4)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.out = nn.Linear(config.places * (config.kinds + config.ticks), config.width, bias=False)
        nn.init.normal_(self.out.weight, std=0.1)

    def forward(
        self,
        chances: Float[Tensor, "batch frames sounds"],
        written: Int[Tensor, "batch asks"],
        tick: Int[Tensor, "batch asks"],
    ) -> Float[Tensor, "batch asks width"]:
        """`chances`: logarithms from a session's first frame on; `written`: the first frame behind what is written;
        `tick`: that of the ask. Nothing is learned through the chances.
        """
        return self.out(self.told(chances.detach(), written, tick).to(self.out.weight.dtype))

    def now(
        self,
        last: Float[Tensor, "batch ticks frames sounds"],
        tick: Int[Tensor, " batch"],
        written: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch 1 width"]:
        """What asks in `tick` are shown, `last` being the chances up to its end: of one tick more than `config.ticks`,
        for a sound begins where another one was before it."""
        count, frames = last.shape[1:3]
        behind = written - (tick + 1 - count) * frames
        return self(last.flatten(1, 2), behind[:, None], torch.full((len(last), 1), count - 1))

    def told(
        self,
        chances: Float[Tensor, "batch frames sounds"],
        written: Int[Tensor, "batch asks"],
        tick: Int[Tensor, "batch asks"],
    ) -> Float[Tensor, "batch asks told"]:
        """For every ask and place: the chance of each kind, and how many ticks ago it began (one of them is 1); zeros
        where no sound stands.
        """
        c = self.config
        kind = chances.argmax(-1)
        begins = (kind > 0) & (kind != F.pad(kind[:, :-1], (1, 0)))
        number = begins.cumsum(1)  # sounds up to each frame
        place = torch.arange(kind.shape[1], device=kind.device).expand_as(kind)
        where = F.pad(torch.zeros_like(number), (0, 1))
        where = where.scatter(1, torch.where(begins, number - 1, kind.shape[1]), place)
        until = (tick + 1) * c.frames
        first = torch.maximum(written, until - c.ticks * c.frames).clamp(min=0)
        before = F.pad(number, (1, 0)).gather(1, first.clamp(max=kind.shape[1]))
        there = F.pad(number, (1, 0)).gather(1, until.clamp(max=kind.shape[1]))
        wanted = before[..., None] + torch.arange(c.places, device=kind.device)
        stands = wanted < there[..., None]
        frame = where.gather(1, wanted.clamp(max=kind.shape[1]).flatten(1))
        sound = chances.exp().gather(1, frame[..., None].expand(-1, -1, chances.shape[-1]))[..., 1:]
        age = (tick[..., None] - frame.view_as(wanted) // c.frames).clamp(0, c.ticks - 1)
        both = torch.cat([sound.view(*wanted.shape, -1), F.one_hot(age, c.ticks).to(sound.dtype)], -1)
        return (both * stands[..., None]).flatten(2)
