"""Observers watch a session's events and never alter it: how long answers took, which deadlines were missed.

Events may be seen before their time (the end of a sentence is known when it begins), so observers go by `event.t`.
"""

from collections.abc import Callable

from stretto.core.signals import Event, Kind

ANSWERS = (Kind.SPEECH_STARTED, Kind.ACTION_STARTED, Kind.ACTION_SWITCHED, Kind.ACTION_HALTED, Kind.ACTION_RESUMED)


class Latencies:
    """Seconds from the end of what the person said to the first sound and to the first change of the arm.

    Only what comes after the agent has heard something of the turn counts: a "Done." that happens to fall between a
    question and its answer is no answer.
    """

    def __init__(self) -> None:
        self.turns: list[float] = []
        self._heard: list[float] = []
        self._answers: list[Event] = []

    def see(self, event: Event) -> None:
        """Note ends of turns and answers."""
        if event.kind in (Kind.USER_STOPPED, Kind.USER_TYPED):
            self.turns.append(event.t)
        elif event.kind is Kind.HEARD:
            self._heard.append(event.t)
        elif event.kind in ANSWERS and event.source != "agent":
            self._answers.append(event)

    def first_audio(self) -> list[float]:
        """Per turn that was answered aloud before the next one, seconds to the first sound."""
        return self._after(lambda event: event.kind is Kind.SPEECH_STARTED)

    def first_action(self) -> list[float]:
        """Per turn that the arm reacted to before the next one, seconds to its start, switch, halt or going on."""
        return self._after(lambda event: event.kind is not Kind.SPEECH_STARTED)

    def _after(self, counts: Callable[[Event], bool]) -> list[float]:
        out = []
        for start, end in zip(self.turns, [*self.turns[1:], float("inf")], strict=True):
            heard = min((t for t in self._heard if start <= t < end), default=float("inf"))
            times = [event.t for event in self._answers if counts(event) and heard <= event.t < end]
            out += [min(times) - start] if times else []
        return out


class Deadlines:
    """Counts ticks and control periods that came too late."""

    def __init__(self) -> None:
        self.missed: list[Event] = []

    def see(self, event: Event) -> None:
        """Note a missed deadline."""
        if event.kind is Kind.DEADLINE_MISSED:
            self.missed.append(event)
