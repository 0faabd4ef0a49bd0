"""A person who follows a script: each cue waits for something to have happened, then for a while, then is said.

Script.Config().build([Cue(intent="instruct", speech=speech, after=None, wait_s=0.8),
                       Cue(intent="stop", speech=stop, after=Kind.ACTION_STARTED, wait_s=2.3)])
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.protocols import Utterance
from stretto.core.signals import Event, Kind, Speech


@dataclass(frozen=True, kw_only=True)
class Cue:
    """One thing to say (`speech`) or type (`typed`), `wait_s` after an event of kind `after` that followed the cue
    before it was finished (None: after the cue before it, or the session's start). `patience_s`: if that event has not
    come by then, speak all the same. `early`: it may have come while the cue before it was still being said (a reflex
    halts the arm in the middle of a sentence)."""

    intent: str
    speech: Speech | None = None
    typed: str | None = None
    after: Kind | None = None
    wait_s: float = 1.0
    patience_s: float = 15.0
    early: bool = False


class Script(Configurable):
    """Says its cues in order, one at a time."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Nothing to set."""

    def __init__(self, config: Config, cues: Sequence[Cue] = ()) -> None:
        del config
        self._cues = list(cues)
        self._begun = self._free = 0.0
        self._due: float | None = None

    def observe(self, t: float, until: float, events: tuple[Event, ...]) -> Utterance | None:
        """Called each tick with what happened in it; an utterance begins within the coming tick, [t, until)."""
        if not self._cues:
            return None
        cue = self._cues[0]
        if self._due is None:
            self._due = self._when(cue, events)
        give_up = self._free + cue.patience_s if cue.after is not None else float("inf")
        due = min(self._due if self._due is not None else float("inf"), give_up)
        if due >= until:
            return None
        self._cues.pop(0)
        self._begun = start = max(due, t)
        self._free = start + (cue.speech.end if cue.speech else 0.0)
        self._due = None
        return Utterance(t=start, intent=cue.intent, speech=cue.speech, typed=cue.typed)

    def _when(self, cue: Cue, events: tuple[Event, ...]) -> float | None:
        if cue.after is None:
            return self._free + cue.wait_s
        since = self._begun if cue.early else self._free
        for event in events:
            if event.kind is cue.after and event.t >= since - 1e-9:
                return max(event.t, self._free) + cue.wait_s
        return None
