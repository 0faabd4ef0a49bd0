"""Which of the likeliest words was said: at the moment of choice their sounds are held against those that were heard.

The heard slot decides when a token is due and has an opinion on which. The readout of sounds (SoundReadout) has
another, and errs elsewhere: it hears words that training hardly said. So the likeliest tokens are aligned with the
sounds in the frames since the last word, as CTC does it, and the token with the best sum wins. What lies before and
behind a word's sounds may be anything, at a cost a frame, so neither when the word began nor when it ended need be
known; the best alignment says where the next one may begin.

A token of a word of several sounds like nothing by itself (" m" of " m|ug"). So it fits as well as the best of the
words that begin with it and the tokens before it; and where there is no such word ("out" and "side" are, "forget" and
"about" are not), it is at a disadvantage. Once some token may go on with the last word, all are held against the sounds
from that word's beginning, those that begin another word behind it.

What the language model expects (agents/expected.py) counts beside both, where it has an opinion.

    evidence = Evidence.of(network)                         None where no sounds are read
    token, since = evidence.choose(scores, sounds, tick, since)
    evidence.chances(scores, sounds, tick, since)           the likeliest answers, for agents/beam.py

Source: attention and CTC decoded jointly (Watanabe et al., 2017), at the end of each word. Needs: numpy, torch. Does
not decide whether something was said.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from torch import Tensor

from stretto.agents.network import Network
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.listen.encoders.grains import GrainAdapter
from stretto.think.sounds import numbered, sounds_of, whole_words
from stretto.think.text import Text

NEVER = -1e9


@dataclass(frozen=True, kw_only=True)
class Since:
    """Where the last word began and ended, in frames from the session's first, and its tokens so far."""

    began: int = 0
    ended: int = 0
    tokens: tuple[int, ...] = ()


Sounds = tuple[int, ...]
"""Numbers of sounds, from 1."""

Opinion = Callable[[Sequence[int]], np.ndarray]
"""How much each of some tokens is expected (agents/expected.py)."""


class Evidence(Configurable):
    """Chooses among tokens by scores and sounds."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`among`: tokens that are compared. `weight`: of a sum of logarithms over frames beside a token's score.
        `expected`: of what the language model expects. `beside`: cost of a frame that is not the word's. `unknown`:
        taken from the score of a token that begins no word, with the tokens before it.
        """

        among: int = 32
        weight: float = 0.5
        expected: float = 0.5
        beside: float = 0.6
        unknown: float = 6.0

    def __init__(
        self,
        config: Config,
        spelled: Sequence[bytes],
        words: Mapping[tuple[int, ...], Sequence[Sounds]] = MappingProxyType({}),
    ) -> None:
        """`spelled`: the bytes of each token. `words`: how the words that begin with these tokens sound; without it a
        token sounds as it does by itself."""
        self.config, self.words = config, words
        self.texts = [raw.decode("utf-8", "replace") for raw in spelled]
        self.begins = [text[:1].isspace() for text in self.texts]
        self.sounds = [numbered(sounds_of(text)) for text in self.texts]

    @classmethod
    def of(cls, network: Network) -> "Evidence | None":
        """That of a network which reads sounds and knows how its tokens are spelled."""
        spelled = network.layout.vocabularies[network.layout["heard"].predicts].table.spelled
        if not spelled or not isinstance(network.adapter, GrainAdapter):
            return None
        evidence: Evidence = cls.Config().build(spelled, words_of(network.text) if network.text else {})
        return evidence

    def choose(
        self,
        scores: Float[Tensor, " tokens"],
        sounds: Float[Tensor, "ticks frames sounds"],
        tick: int,
        since: Since,
        opinion: Opinion | None = None,
    ) -> tuple[int, Since]:
        """The token, and what is known then. `sounds`: logarithms of their chances in the last ticks, `tick` the last.
        `opinion`: of the language model, where it has one.

        What has no sounds (nothing, the end of a turn, a mark) is left as the scores have it.
        """
        best = int(scores.argmax())
        if not self.audible(best):
            return best, since
        tokens = self._likeliest(scores)
        total, ends = self._weighed(tokens, scores, sounds, tick, since, opinion)
        place = int(total.argmax())
        return tokens[place], self._after(tokens[place], int(ends[place]), since)

    def chances(
        self,
        scores: Float[Tensor, " tokens"],
        sounds: Float[Tensor, "ticks frames sounds"],
        tick: int,
        since: Since,
        opinion: Opinion | None = None,
        *,
        sounding: int = 3,
        others: int = 2,
        unlikely: float = -4.0,
    ) -> list[tuple[int, Since, float]]:
        """The likeliest answers, so many with sounds and without, each with what is known then and the logarithm of its
        chance; as for `choose`. That a token with sounds is due has the chance that scores give it, and which one it
        is, that of all three opinions; where the former is less than `unlikely`, nobody asks for the latter.
        """
        chance = scores.float().log_softmax(-1)
        tokens = self._likeliest(scores)
        rest = chance.clone()
        rest[tokens] = NEVER
        values, places = rest.topk(others)
        found = [(int(token), since, float(value)) for value, token in zip(values, places, strict=True)]
        silent = [answer for answer in found if not self.audible(answer[0])]
        due = float(chance[tokens].logsumexp(0)) if tokens else NEVER
        if due < unlikely:
            return silent
        total, ends = self._weighed(tokens, scores, sounds, tick, since, opinion)
        total = total - np.logaddexp.reduce(total) + due
        best = np.argsort(-total)[:sounding]
        spoken = [(tokens[n], self._after(tokens[n], int(ends[n]), since), float(total[n])) for n in best]
        return spoken + silent

    def audible(self, token: int) -> bool:
        """Whether a token has sounds: nothing, the end of a turn and marks have none."""
        return bool(self._sounds(token))

    def _likeliest(self, scores: Float[Tensor, " tokens"]) -> list[int]:
        """Those with sounds of the tokens that are compared."""
        found = scores[: len(self.sounds)].topk(min(self.config.among, len(self.sounds)))
        return [int(token) for token in found.indices if self.audible(int(token))]

    def _weighed(
        self,
        tokens: Sequence[int],
        scores: Float[Tensor, " tokens"],
        sounds: Float[Tensor, "ticks frames sounds"],
        tick: int,
        since: Since,
        opinion: Opinion | None,
    ) -> tuple[Float[np.ndarray, " among"], np.ndarray]:
        """What speaks for each token, all together, and the frame behind it, in the way in which it fits best."""
        before, places, fits, ends = self._held(tokens, sounds, tick, since)
        total = np.array([self._score(float(scores[token]), token, before) for token in tokens])
        if opinion is not None:
            total = total + self.config.expected * opinion(tokens)
        every = total[places] + self.config.weight * fits
        best = [int(np.where(places == n, every, -np.inf).argmax()) for n in range(len(tokens))]
        return every[best], ends[best]

    def follow(self, token: int, sounds: Float[Tensor, "ticks frames sounds"], tick: int, since: Since) -> Since:
        """What is known when a token was written, whoever chose it; as for `choose`."""
        if not self.audible(token):
            return since
        _, _, fits, ends = self._held([token], sounds, tick, since)
        return self._after(token, int(ends[fits.argmax()]), since)

    def _held(
        self, tokens: Sequence[int], sounds: Float[Tensor, "ticks frames sounds"], tick: int, since: Since
    ) -> tuple[tuple[int, ...], np.ndarray, np.ndarray, np.ndarray]:
        """Tokens held against the sounds: the tokens of a word that one of them goes on with; then for each way in
        which each may sound the place of the token, how well it fits and the frame behind it."""
        frames = sounds.flatten(0, 1).numpy()
        first = (tick + 1) * sounds.shape[1] - len(frames)
        goes_on = since.ended > first and bool(since.tokens) and not all(self.begins[token] for token in tokens)
        begin, before = max(first, since.began if goes_on else since.ended), since.tokens if goes_on else ()
        so_far = self._so_far(before)
        rows = [self._rows(token, before, so_far) for token in tokens]
        said = [np.array(row) for some in rows for row in some]
        fits, ends = aligned(frames[begin - first :], said, self.config.beside)
        return before, np.repeat(np.arange(len(tokens)), [len(some) for some in rows]), fits, begin + ends

    def _after(self, token: int, ended: int, since: Since) -> Since:
        if self.begins[token]:
            return Since(began=since.ended, ended=ended, tokens=(token,))
        return replace(since, ended=ended, tokens=(*since.tokens, token))

    def _sounds(self, token: int) -> Sounds:
        return self.sounds[token] if token < len(self.sounds) else ()

    def _rows(self, token: int, before: tuple[int, ...], so_far: Sounds) -> Sequence[Sounds]:
        """All that a token may sound like, behind these tokens of the last word."""
        if not self.begins[token]:
            return self.words.get((*before, token)) or [so_far + self.sounds[token]]
        rows = self.words.get((token,)) or [self.sounds[token]]
        return [so_far + row for row in rows]

    def _so_far(self, tokens: tuple[int, ...]) -> Sounds:
        """How a word of these tokens sounds."""
        whole = numbered(sounds_of("".join(self.texts[token] for token in tokens)))
        return whole or tuple(sound for token in tokens for sound in self._sounds(token))

    def _score(self, score: float, token: int, before: tuple[int, ...]) -> float:
        tokens = (token,) if self.begins[token] else (*before, token)
        return score if not self.words or tokens in self.words else score - self.config.unknown


@functools.lru_cache(maxsize=2)
def words_of(text: Text) -> dict[tuple[int, ...], list[Sounds]]:
    """How the words sound that begin with some tokens, of all words whose sounds are known; seconds, once."""
    known = whole_words()
    forms = [*known, *map(str.capitalize, known)]
    found: dict[tuple[int, ...], set[Sounds]] = {}
    for form, tokens in zip(forms, text.heard_words(forms), strict=True):
        sounds = numbered(sounds_of(form))
        for count in range(1, len(tokens) + 1):
            found.setdefault(tokens[:count], set()).add(sounds)
    return {tokens: sorted(sounds) for tokens, sounds in found.items()}


def aligned(
    frames: Float[np.ndarray, "frames sounds"], said: Sequence[np.ndarray], beside: float
) -> tuple[Float[np.ndarray, " said"], np.ndarray]:
    """How well each row of sounds fits into some frames, against the best of each frame (at most 0), and the frame
    behind its last one. Sounds are numbered from 1; 0 is none.
    """
    count, longest = len(said), 2 * max(map(len, said)) + 1
    path = np.zeros((count, longest), np.int64)
    last = np.array([2 * len(sounds) for sounds in said])
    for place, sounds in enumerate(said):
        path[place, 1 : 2 * len(sounds) : 2] = sounds
    skips = np.zeros((count, longest), bool)
    skips[:, 3::2] = path[:, 3::2] != path[:, 1:-2:2]
    beyond = np.arange(longest) > last[:, None]
    every, best = np.arange(count), frames.max(1)
    chances = frames[:, path] - best[:, None, None]
    chances[:, beyond] = NEVER
    inside = np.full((count, longest), NEVER)
    behind, ends = np.full(count, NEVER), np.zeros(count, np.int64)
    for frame in range(len(frames) + 1):
        over = np.maximum(inside[every, last], inside[every, last - 1])
        ends = np.where(over > behind, frame, ends)
        behind = np.maximum(over, behind)
        if frame == len(frames):
            break
        behind = behind - beside
        moved = np.maximum(inside[:, :-1], inside[:, 1:])
        moved[:, 1:] = np.where(skips[:, 2:], np.maximum(moved[:, 1:], inside[:, :-2]), moved[:, 1:])
        begun = -beside * frame
        inside[:, 0] = np.maximum(inside[:, 0], begun)
        inside[:, 1:] = moved
        inside[:, 1] = np.maximum(inside[:, 1], begun)
        inside += chances[frame]
    return behind, ends
