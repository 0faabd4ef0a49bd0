"""Sounds of what is said, read from the states of speech: a loss beside that of words, which teaches to hear.

A word is one answer among fifty thousand, two or three times a second. Its sounds are a dozen answers a second among
forty, and words that were never heard are made of them too. So each word's sounds (think/sounds.py) should be found, in
their order, in the states of the speech between its beginning and its end: of those that know what followed (the oldest
tick that the ear hands on), which is before the word can have been fed back as heard, so nothing can be copied from
there. They are read in two places: from the grains, before a tick's are joined, where sounds are told apart, and from
the last states, where words are. The first readout is the network's own, by which it chooses among words
(agents/evidence.py); so it also learns that there is no sound where nobody speaks. The second is there only while
training.

Source: connectionist temporal classification (Graves et al., 2006), beside a decoder as in joint CTC-attention (Kim et
al., 2017), but word by word, for the times of words are known. Needs: torch. Does not know how batches are drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from stretto.data.talk_style import plain
from stretto.listen.encoders.settled import Settled
from stretto.listen.encoders.sound_readout import SoundReadout
from stretto.think.sounds import SOUNDS, numbered, sounds_of

MARGIN = 3
"""Frames beside a word in which it may still sound."""


def readout_of(width: int, frames: Settled) -> SoundReadout:
    """What reads sounds from last states of that width, the same whenever training begins."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        readout: SoundReadout = SoundReadout.Config(
            width=width, settled=frames.settled, each=frames.each, kinds=len(SOUNDS)
        ).build()
        return readout


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """Words: the session of each, its first frame, its frames, how many sounds it has, and which (1 is the first).
    `quiet`: the frames in which nobody speaks.
    """

    session: Int[Tensor, " words"]
    first: Int[Tensor, " words"]
    frames: Int[Tensor, " words"]
    size: Int[Tensor, " words"]
    sounds: Int[Tensor, "words longest"]
    quiet: Bool[Tensor, "sessions frames"]

    def to(self, device: torch.device) -> "Spoken":
        """The same on a device."""
        return Spoken(**{name: getattr(self, name).to(device) for name in self.__dataclass_fields__})


def spoken(sessions: Sequence[Sequence[Any]], frames: Settled, ticks: int) -> Spoken:
    """The words [word, start, end] of sessions of so many ticks whose sounds are known and that end before the last
    frame that is read. What follows the last word of a session may be one that was cut, and is not called quiet.
    """
    rows: list[list[int]] = []
    sounds: list[Tensor] = []
    quiet = torch.ones(len(sessions), ticks * frames.each * frames.settled, dtype=torch.bool)
    for number, words in enumerate(sessions):
        last = 0
        for word, start, end in words:
            found = numbered(sounds_of(plain(str(word))))
            first, count = frames.span(start, end)
            last = max(last, first + count)
            quiet[number, max(0, first - MARGIN) : first + count + MARGIN] = False
            if found and first + count <= quiet.shape[1]:
                rows.append([number, first, count, len(found)])
                sounds.append(torch.tensor(found))
        if words:
            quiet[number, last:] = False
    table = torch.tensor(rows, dtype=torch.int64).reshape(-1, 4)
    padded = nn.utils.rnn.pad_sequence(sounds, batch_first=True) if sounds else torch.zeros(0, 1, dtype=torch.int64)
    session, begin, length, size = table.unbind(1)
    return Spoken(session=session, first=begin, frames=length, size=size, sounds=padded, quiet=quiet)


def loss_of_sounds(chances: Float[Tensor, "batch frames sounds"], words: Spoken) -> Float[Tensor, ""]:
    """Of a sound in the mean, 0 where there is none; words with more sounds than frames do not count."""
    if not len(words.first):
        return chances.sum() * 0
    longest = torch.arange(int(words.frames.max()), device=chances.device)
    places = (words.first[:, None] + longest).clamp(max=chances.shape[1] - 1)
    chances = chances[words.session[:, None], places]
    total = F.ctc_loss(
        chances.transpose(0, 1), words.sounds, words.frames, words.size, reduction="sum", zero_infinity=True
    )
    return total / words.size.sum()


def loss_of_quiet(chances: Float[Tensor, "batch frames sounds"], words: Spoken) -> Float[Tensor, ""]:
    """Of a frame in which nobody speaks, in the mean: that there is no sound."""
    return -chances[..., 0][words.quiet].sum() / words.quiet.sum().clamp(min=1)
