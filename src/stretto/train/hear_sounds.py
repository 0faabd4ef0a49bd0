"""Sounds of what is said, read from the states of speech: an auxiliary loss that teaches to hear, only while training.

A word is one answer among fifty thousand, two or three times a second. Its sounds are a dozen answers a second among
forty, and words that were never heard are made of them too. So each word's sounds (think/sounds.py) should be found, in
their order, in the states of the speech between its beginning and its end: of those that know what followed (the oldest
tick that the ear hands on), which is before the word can have been fed back as heard, so nothing can be copied from
there. They are read in two places: from the grains, before a tick's are joined (listen/encoders/grains.py), where
sounds are told apart, and from the last states, where words are. The readouts are no part of the network that is saved.

Source: connectionist temporal classification (Graves et al., 2006), beside a decoder as in joint CTC-attention (Kim et
al., 2017), but word by word, for the times of words are known. Needs: torch. Does not know how batches are drawn.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from stretto.core.signals import HEARING_RATE
from stretto.data.talk_style import plain
from stretto.listen.encoders.whisper import FRAME, WhisperEncoder
from stretto.think.sounds import SOUNDS, sounds_of

FRAME_S = FRAME / HEARING_RATE


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Which sound is read where: `each` frames of 20 ms from a state, the first `settled` of the `states` of a tick,
    whose sound is `behind` frames older than the tick's."""

    each: int
    states: int
    settled: int
    behind: int

    @classmethod
    def of(cls, ear: WhisperEncoder.Config, grains: int = 1) -> "Frames":
        """Those of an ear whose embeddings have so many states each."""
        states = ear.embeddings_per_tick * grains
        settled = states * ear.tick_frames // ear.given_frames
        behind = ear.given_frames - ear.tick_frames
        return cls(each=ear.tick_frames // settled, states=states, settled=settled, behind=behind)

    def span(self, start: float, end: float) -> tuple[int, int]:
        """First frame, and how many, of what sounds from `start` to `end` seconds."""
        first, last = math.floor(start / FRAME_S), math.ceil(round(end / FRAME_S, 6))
        return first + self.behind, last - first


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """Words: the session of each, its first frame, its frames, how many sounds it has, and which (1 is the first)."""

    session: Int[Tensor, " words"]
    first: Int[Tensor, " words"]
    frames: Int[Tensor, " words"]
    size: Int[Tensor, " words"]
    sounds: Int[Tensor, "words longest"]

    def to(self, device: torch.device) -> "Spoken":
        """The same on a device."""
        return Spoken(**{name: getattr(self, name).to(device) for name in self.__dataclass_fields__})


def spoken(sessions: Sequence[Sequence[Any]], frames: Frames, ticks: int) -> Spoken:
    """The words [word, start, end] of sessions of so many ticks whose sounds are known and that end before the last
    frame that is read.
    """
    rows: list[list[int]] = []
    sounds: list[Tensor] = []
    for number, words in enumerate(sessions):
        for word, start, end in words:
            found = [SOUNDS.index(sound) + 1 for sound in sounds_of(plain(str(word)))]
            first, count = frames.span(start, end)
            if found and first + count <= ticks * frames.each * frames.settled:
                rows.append([number, first, count, len(found)])
                sounds.append(torch.tensor(found))
    table = torch.tensor(rows, dtype=torch.int64).reshape(-1, 4)
    padded = nn.utils.rnn.pad_sequence(sounds, batch_first=True) if sounds else torch.zeros(0, 1, dtype=torch.int64)
    return Spoken(session=table[:, 0], first=table[:, 1], frames=table[:, 2], size=table[:, 3], sounds=padded)


class Sounds(nn.Module):
    """The sound in each frame, by the states of speech; 0 is none."""

    def __init__(self, width: int, frames: Frames) -> None:
        super().__init__()
        self.frames = frames
        self.out = nn.Linear(width, frames.each * (1 + len(SOUNDS)))

    def forward(self, states: Float[Tensor, "batch speech width"]) -> Float[Tensor, "batch frames sounds"]:
        """Logarithms of their chances; `speech` is ticks times states of a tick."""
        settled = states.unflatten(1, (-1, self.frames.states))[:, :, : self.frames.settled]
        scores = self.out(settled).unflatten(-1, (self.frames.each, -1))
        return F.log_softmax(scores.flatten(1, 3).float(), -1)

    def loss(self, states: Float[Tensor, "batch speech width"], words: Spoken) -> Float[Tensor, ""]:
        """Of a sound in the mean, 0 where there is none; words with more sounds than frames do not count."""
        if not len(words.first):
            return states.sum() * 0
        longest = torch.arange(int(words.frames.max()), device=states.device)
        chances = self(states)
        places = (words.first[:, None] + longest).clamp(max=chances.shape[1] - 1)
        chances = chances[words.session[:, None], places]
        total = F.ctc_loss(
            chances.transpose(0, 1), words.sounds, words.frames, words.size, reduction="sum", zero_infinity=True
        )
        return total / words.size.sum()
