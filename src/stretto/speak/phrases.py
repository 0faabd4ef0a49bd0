"""From text that arrives piece by piece to phrases that a voice can speak.

The say stream brings a few tokens a tick; a voice needs several words at once, or it cannot be understood: Piper's word
error rate is 26 % from single words, 9 % from two, 4 % from three or four, 2.7 % from the whole sentence. But each word
waited for is silence. So the first phrase goes at the third whole word or at a punctuation mark, whichever comes first.
After that there is sound to hide behind: while at least a second of it is queued, only punctuation ends a phrase; when
less is left, a few whole words are enough. A text that never brings a space is cut all the same.

A word is whole once white space has followed it, and a mark ends a phrase only there, so "3.5" and "e.g." are never
cut; `flush` says that the text has ended. A phrase always has a letter or a digit: no voice can speak "...". What a
language model writes to be looked at (asterisks, brackets, other scripts) is left out: a voice would spell it, sign by
sign.

Source: our own measurements (above). Needs: nothing. Does not know a voice, nor languages that do without spaces.
"""

import re
from dataclasses import dataclass

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError

_MARK = re.compile(r"[.,;:!?…–—][\"')\]”’»]*(?=\s)")
_WHOLE = re.compile(r"\S+(?=\s)")
_SPOKEN = re.compile(r"[^\W_]")
_WIDE = {code + 0xFEE0: code for code in range(0x21, 0x7F)}
_SILENT = re.compile(r"[^A-Za-z0-9\u00c0-\u024f\s.,;:!?…–—\"'”’»«“‘()%&+/=$£€°-]")


def speakable(text: str) -> str:
    """The text without what has no sound: markup, pictures, letters that are not Latin; wide forms become plain ones.

    >>> speakable("**Stop**: ５ cups ☕")
    'Stop: 5 cups '
    """
    return _SILENT.sub("", text.translate(_WIDE))


@dataclass(frozen=True, kw_only=True)
class Pending:
    """Text that came and is not yet released; `first`: nothing of this utterance has been."""

    text: str = ""
    first: bool = True


class Phrases(Configurable):
    """Cuts a growing text into phrases. State is explicit."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Whole words that end a phrase without punctuation.

        `first_words`: of the first phrase; `low_words`: of a later one while less than `low_s` seconds of sound are
        queued; `most_words`: of any other. None is longer than that, nor than `most_letters`.
        """

        first_words: int = 3
        low_words: int = 4
        low_s: float = 1.0
        most_words: int = 24
        most_letters: int = 120

        def __post_init__(self) -> None:
            fewest, most = min(self.first_words, self.low_words), max(self.first_words, self.low_words)
            if fewest < 1 or most > self.most_words:
                raise StrettoError(
                    f"Phrases expects first_words and low_words from 1 to most_words, got {self.first_words}, "
                    f"{self.low_words} and {self.most_words}."
                )

    def __init__(self, config: Config) -> None:
        self.config = config

    def start(self) -> Pending:
        """The state before an utterance."""
        return Pending()

    def push(self, text: str, state: Pending, queued_s: float = 0.0) -> tuple[list[str], Pending]:
        """The phrases that are ready after `text` came, and the next state.

        `queued_s`: seconds of speech not yet played (`Observation.playback`). A tick without text pushes "": sound may
        have run low, and words that waited for punctuation then go.

        >>> phrases = Phrases.Config().build()
        >>> phrases.push("Okay, I will put the b", phrases.start())
        (['Okay,', 'I will put the'], Pending(text='b', first=False))
        >>> phrases.push("owl on the plate", Pending(text="b", first=False), queued_s=2.0)
        ([], Pending(text='bowl on the plate', first=False))
        """
        ready: list[str] = []
        rest, first = (state.text + speakable(text)).lstrip(), state.first
        while end := self._end(rest, self._enough(first, queued_s)):
            ready.append(rest[:end].rstrip())
            rest, first = rest[end:].lstrip(), False
        return ready, Pending(text=rest, first=first)

    def flush(self, state: Pending) -> tuple[list[str], Pending]:
        """The text has ended: what is left of it, if it can be spoken, and the state before the next utterance.

        Marks that stand alone at the end are dropped: there is nothing to say for them.
        """
        rest = state.text.strip()
        return ([rest] if _SPOKEN.search(rest) else []), self.start()

    def _enough(self, first: bool, queued_s: float) -> int:
        """Whole words that end a phrase now."""
        if first:
            return self.config.first_words
        return self.config.low_words if queued_s < self.config.low_s else self.config.most_words

    def _end(self, text: str, enough: int) -> int:
        """Where the first phrase of `text` ends: at its first mark, else after its whole words; 0 is not yet."""
        spoken = _SPOKEN.search(text)
        if spoken is None:
            return 0
        longest = spoken.start() + self.config.most_letters
        whole = [word for word in _WHOLE.finditer(text) if _SPOKEN.search(word[0])]
        if not whole or whole[0].end() > longest:
            return longest if len(text) > longest else 0
        mark = _MARK.search(text, whole[0].start())
        if mark is None and len(whole) < enough:
            return 0
        end = mark.end() if mark else whole[-1].end()
        most = min(self.config.most_words, sum(word.end() <= longest for word in whole))
        return min(end, whole[most - 1].end()) if len(whole) > most else end
