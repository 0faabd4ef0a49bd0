"""The demo: a person gives a task, asks while the arm moves, gives another, says stop, go on, and changes his mind.

Tasks, wordings, the person's voice and all times are drawn from the seed, at run time. The robot is the cascade (or any
agent by name); its skill knows simulator state and the score says so.
"""

from collections.abc import Callable

from stretto.core.protocols import Voice
from stretto.core.rng import derive, generator
from stretto.core.signals import Kind
from stretto.data import talk
from stretto.data.voices import speaker
from stretto.sessions.live import Live
from stretto.sessions.trace import Trace
from stretto.sessions.users.script import Cue

VOICES = ("festival-slt", "flite-rms")
LINGER_S = 3.5
"""How long the demo goes on after the last task was done."""
PATIENCE_S = 30.0
"""How long it waits for that."""


def demo_cues(tasks: tuple[str, ...], seed: int) -> list[Cue]:
    """Six things to say: instruct, ask, instruct, stop, go on, switch; each a while after what it waits for."""
    rng = generator(seed, "demo")
    goals = [tasks[i] for i in rng.choice(len(tasks), 3, replace=False)]
    voice = speaker(str(rng.choice(VOICES)))
    spoken = iter(range(100))

    def cue(intent: str, after: Kind | None, low: float, high: float, goal: str = "") -> Cue:
        line = talk.draw(intent, derive(seed, "demo", next(spoken)) % 2**31, "dev", **({"goal": goal} if goal else {}))
        return _spoken(voice, line, after, float(rng.uniform(low, high)))

    return [
        cue("instruct", None, 0.6, 1.4, goals[0]),
        cue("ask_scene", Kind.SPEECH_STOPPED, 0.1, 0.5),
        cue("instruct", Kind.ACTION_COMPLETED, 2.0, 2.8, goals[1]),
        cue("stop", Kind.ACTION_STARTED, 0.8, 1.8),
        cue("go_on", Kind.ACTION_HALTED, 2.2, 3.2),
        cue("switch", Kind.ACTION_RESUMED, 0.3, 1.2, goals[2]),
    ]


def _spoken(voice: Voice, line: talk.Line, after: Kind | None, wait_s: float) -> Cue:
    return Cue(
        intent=line.intent, speech=voice.speak(line.text), after=after, wait_s=wait_s, patience_s=20.0, early=True
    )


def demo_live(agent: str, seed: int, filmed: bool = True) -> Live:
    """The demo's session: LIBERO-Goal from a fresh placement, filmed, at most 100 s."""
    return Live(
        task="libero_goal:0", agent=agent, seed=seed, split="dev", seconds=100.0, film_hz=10.0 if filmed else 0.0
    )


def demo_over(cues: int) -> Callable[[Trace], bool]:
    """The end: everything was said, and the task that was given last was done a while ago, or `PATIENCE_S` have passed.

    The task before it may be completed while the last one is being said: only what was begun after that counts.
    """

    def over(trace: Trace) -> bool:
        if len(trace.utterances) < cues:
            return False
        said = trace.utterances[-1].t
        begun = [e.t for e in trace.of(Kind.ACTION_STARTED, Kind.ACTION_SWITCHED) if e.t > said]
        done = [e.t for e in trace.of(Kind.ACTION_COMPLETED) if begun and e.t > begun[0]]
        return trace.seconds > (done[0] + LINGER_S if done else said + PATIENCE_S)

    return over
