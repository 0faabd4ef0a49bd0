"""The cascade: voice activity → end of turn → Whisper-tiny → rules → a privileged skill → Piper.

What people glue together today, kept as a baseline: every box is a product of its own and rules decide. The skill wraps
an expert that knows simulator state, so this agent is privileged and its card rows say so. It answers while the arm
moves, because skill and voice run beside each other. While the arm moves and somebody speaks, what was said so far is
recognised again and again: a stop halts the arm before its sentence has ended, and the whole sentence then confirms or
releases. Where a reflex halts the arm by itself, a sentence is looked at in every tick, by a recogniser with a short
window, and the words around the one that halted confirm or release at once (think/meant.py). What it was doing is kept
for "go on".

Needs: listen/vad.py, listen/turns, listen/whisper.py, think/intent.py, a voice. Does not see pictures.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.protocols import Context, Job
from stretto.core.signals import Act, Event, Kind, Observation, Output, SkillRequest, Speech
from stretto.data.voices import speaker
from stretto.listen.turns.cues import Cues, Heard
from stretto.listen.turns.fixed_silence import FixedSilence, SilenceState
from stretto.listen.vad import Silero, VadState
from stretto.listen.whisper import Whisper
from stretto.think.intent import Intent, Rules
from stretto.think.meant import alone, meant

UNDERSTANDING = ("recognise", "intent")
"""Parts of the job from the end of a turn to an intent, as named on the latency card."""
GLANCING = ("glance", "intent")
"""The same for a short window."""
REFLEX = "reflex"
"""What the text of an event begins with when the reflex halted the arm (runtime/world.py)."""
UNHEARD_S = 1.0
"""After an alarm without anybody speaking the arm is released."""

SMALL_TALK = {
    "name": "I am Stretto, a robot arm with a voice.",
    "able": "I can move the bowl, the plate, the cheese and the bottle, open a drawer, and turn on the stove.",
    "well": "I am fine, thank you.",
    "thanks": "You are welcome.",
    "hello": "Hello.",
}


@dataclass(frozen=True, kw_only=True)
class State:
    """What the cascade carries: ears, running jobs, and what the arm is about.

    `goal` is kept through a halt. `glance`: the job that looks at a sentence not yet ended; `early`: it, or the
    reflex, halted the arm, and nothing has been confirmed. `alarm`: when the reflex did; `seen`: up to when the running
    glance hears.
    """

    context: Context
    whisper: Whisper
    rules: Rules
    vad: VadState
    turn: SilenceState
    understanding: tuple[Job, ...] = ()
    speaking: tuple[Job, ...] = ()
    goal: str = ""
    halted: bool = False
    glance: tuple[Job, ...] = ()
    early: bool = False
    glimpse: Whisper | None = None
    alarm: float = -1.0
    seen: float = 0.0


@dataclass(kw_only=True)
class Draft:
    """An output in the making."""

    heard: list[str] = field(default_factory=list)
    say: list[str] = field(default_factory=list)
    hush: bool = False
    act: Act = Act.KEEP
    skill: list[SkillRequest] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class Cascade(Configurable):
    """Listens, understands by rules, acts by a privileged skill, answers aloud."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`voice`: a speaker of data/voices.py. `turns`: when a turn is over.

        A sentence is looked at before its end when it is at least `glance_s` and at most `longest_glance_s` long; with
        a reflex of any length, through a window of `window_s`.
        """

        voice: str = "piper-joe"
        glance_s: float = 0.4
        longest_glance_s: float = 1.8
        window_s: float = 8.0
        turns: FixedSilence.Config = field(default_factory=FixedSilence.Config)
        whisper: Whisper.Config = field(default_factory=Whisper.Config)

    privileged = True

    def __init__(self, config: Config) -> None:
        self.config = config
        self.vad = Silero.Config().build()
        self.turns = config.turns.build()
        self.voice = speaker(config.voice, still=True)
        config.whisper.build().recognise(self._speak("Hello.").sound)  # the first run of a network is a slow one

    def start(self, context: Context) -> State:
        """Ears open, nothing to do; the recogniser is told the words that this world's tasks are made of."""
        rules = Rules.Config().build(context.tasks)
        told = replace(self.config.whisper, prompt=rules.vocabulary)
        glimpse = replace(told, window_s=self.config.window_s).build() if context.reflex else None
        if glimpse is not None:
            glimpse.recognise(self._speak("Hello.").sound)
        vad, turn = self.vad.start(), self.turns.start()
        return State(context=context, whisper=told.build(), rules=rules, vad=vad, turn=turn, glimpse=glimpse)

    def step(self, obs: Observation, state: State) -> tuple[Output, State]:
        """One tick: listen, finish jobs, react to what was understood and to what the arm did, speak."""
        draft = Draft()
        state = self._alarmed(obs, self._listen(obs, state, draft))
        state = self._glimpse(obs, state, draft) if state.glimpse else self._glance(state, draft)
        understood, waiting = _done(state.understanding)
        state = replace(state, understanding=waiting)
        if obs.text:
            understood.append((obs.text, state.rules.parse(obs.text)))
        for text, intent in understood:
            draft.heard.append(text)
            state = self._react(_weighed(text, intent, state), obs, state, draft)
        state = self._notice(obs, state, draft)
        speech, waiting = ([], ()) if draft.hush else _done(state.speaking)
        jobs = tuple(state.context.jobs.submit("first_audio", self._speak, text) for text in draft.say)
        output = Output(
            heard=" ".join(draft.heard),
            say=" ".join(draft.say),
            speech=tuple(speech),
            hush=draft.hush,
            act=draft.act,
            skill=tuple(draft.skill),
            events=tuple(draft.events),
        )
        return output, replace(state, speaking=waiting + jobs)

    def _listen(self, obs: Observation, state: State, draft: Draft) -> State:
        """Voice activity and turn-taking; a finished turn becomes a job; whoever talks over us hushes us."""
        if obs.sound is None:
            return state
        probabilities, vad = self.vad.step(obs.sound.samples, state.vad)
        cues = Cues(t=obs.t, samples=obs.sound.samples, probabilities=probabilities)
        turn, silence = self.turns.decide(cues, state.turn)
        draft.hush = bool(turn.started) and (obs.playback.speaking or bool(state.speaking))
        submit = state.context.jobs.submit
        jobs = tuple(submit(UNDERSTANDING, self._understand, state.whisper, state.rules, heard) for heard in turn.ended)
        return replace(state, vad=vad, turn=silence, understanding=state.understanding + jobs)

    def _glance(self, state: State, draft: Draft) -> State:
        """Look at a sentence that has not ended: a stop in it halts the moving arm now."""
        seen, waiting = _done(state.glance)
        state = replace(state, glance=waiting)
        moving = bool(state.goal) and not state.halted
        if moving and any(intent.kind in ("stop", "pause") for _, intent in seen):
            draft.act = Act.HALT
            return replace(state, halted=True, early=True)
        sound = self.turns.so_far(state.turn)
        heard_s = sound.seconds - self.config.turns.pre_roll_s if sound else 0.0
        if (
            sound is None
            or waiting
            or not moving
            or not self.config.glance_s <= heard_s <= self.config.longest_glance_s
        ):
            return state
        heard = Heard(sound=sound, start=0.0, end=sound.seconds)
        job = state.context.jobs.submit(UNDERSTANDING, self._understand, state.whisper, state.rules, heard)
        return replace(state, glance=(job,))

    def _alarmed(self, obs: Observation, state: State) -> State:
        """Notice that the reflex has halted the arm."""
        alarms = [e.t for e in obs.events if e.kind is Kind.ACTION_HALTED and e.text.startswith(REFLEX)]
        return replace(state, halted=True, early=True, alarm=alarms[-1]) if alarms else state

    def _glimpse(self, obs: Observation, state: State, draft: Draft) -> State:
        """With a reflex: look at the sentence in every tick; release what was not meant, halt what it does not know."""
        seen, waiting = _done(state.glance)
        state = replace(state, glance=waiting)
        for text, intent in seen:
            asked = meant(text)
            other = asked is None and not alone(text) and intent.kind not in ("stop", "pause")
            if state.early and state.seen >= state.alarm and (asked is False or other):
                draft.act = Act.MOVE
                state = replace(state, halted=False, early=False)
            elif bool(state.goal) and not state.halted and intent.kind in ("stop", "pause") and asked is not False:
                draft.act = Act.HALT
                state = replace(state, halted=True, early=True, alarm=state.seen)
        sound = self.turns.so_far(state.turn)
        if sound is None:
            nobody = not state.understanding and not state.glance and obs.t - state.alarm > UNHEARD_S
            if state.early and nobody:
                draft.act = Act.MOVE
                state = replace(state, halted=False, early=False)
            return state
        heard_s = sound.seconds - self.config.turns.pre_roll_s
        if waiting or not (state.early or (state.goal and not state.halted and heard_s >= self.config.glance_s)):
            return state
        heard = Heard(sound=sound, start=0.0, end=sound.seconds)
        job = state.context.jobs.submit(GLANCING, self._understand, state.glimpse, state.rules, heard)
        return replace(state, glance=(job,), seen=obs.t)

    def _understand(self, whisper: Whisper, rules: Rules, heard: Heard) -> tuple[str, Intent]:
        text = whisper.recognise(heard.sound)
        return text, rules.parse(text)

    def _react(self, intent: Intent, obs: Observation, state: State, draft: Draft) -> State:
        """What to do and say about one thing that was understood; a halt that it does not confirm is released."""
        if state.early and intent.kind not in ("stop", "pause"):
            draft.act = Act.MOVE
            state = replace(state, halted=False)
        reaction = getattr(self, f"_on_{intent.kind}")
        return replace(reaction(intent, obs, state, draft), early=False)

    def _on_instruct(self, intent: Intent, obs: Observation, state: State, draft: Draft) -> State:
        draft.act = Act.MOVE
        draft.skill.append(SkillRequest(verb="start", goal=intent.goal))
        draft.say.append(f"Okay, I will {intent.goal}.")
        return replace(state, goal=intent.goal, halted=False)

    def _on_stop(self, intent: Intent, obs: Observation, state: State, draft: Draft) -> State:
        draft.act = Act.HALT
        moved = bool(state.goal) and (state.early or not state.halted)
        draft.say.append("I have stopped." if moved else "I am standing still.")
        return replace(state, halted=True)

    def _on_pause(self, intent: Intent, obs: Observation, state: State, draft: Draft) -> State:
        draft.act = Act.HALT
        draft.say.append("I am waiting.")
        return replace(state, halted=True)

    def _on_go_on(self, intent: Intent, obs: Observation, state: State, draft: Draft) -> State:
        if not state.goal:
            draft.say.append("There is nothing to go on with.")
            return state
        draft.act = Act.MOVE
        draft.say.append("I am going on.")
        return replace(state, halted=False)

    def _on_ask_scene(self, intent: Intent, obs: Observation, state: State, draft: Draft) -> State:
        draft.skill.append(SkillRequest(verb="ask", goal=intent.topic))
        return state

    def _on_ask_general(self, intent: Intent, obs: Observation, state: State, draft: Draft) -> State:
        draft.say.append(SMALL_TALK.get(intent.topic, "I do not know that, I am a small robot."))
        return state

    def _on_defective(self, intent: Intent, obs: Observation, state: State, draft: Draft) -> State:
        draft.say.append(f"I cannot do that: {intent.topic}.")
        draft.events.append(Event(kind=Kind.ACTION_REJECTED, t=obs.t, source="agent", text=intent.topic))
        return state

    def _on_none(self, intent: Intent, obs: Observation, state: State, draft: Draft) -> State:
        return state

    def _notice(self, obs: Observation, state: State, draft: Draft) -> State:
        """React to what the arm did and to answers about the scene."""
        for event in obs.events:
            if event.kind is Kind.SCENE_ANSWER:
                draft.say.append(event.text)
            elif event.kind is Kind.ACTION_COMPLETED and event.text == state.goal:
                draft.say.append("Done.")
                state = replace(state, goal="")
        return state

    def _speak(self, text: str) -> Speech:
        return self.voice.speak(text)


def _weighed(text: str, intent: Intent, state: State) -> Intent:
    """With a reflex: a word that stops is none where it is only told of, and is one where nothing else was said."""
    if state.glimpse is None:
        return intent
    if intent.kind in ("stop", "pause") and meant(text) is False:
        return Intent(kind="none")
    if intent.kind == "none" and state.early and alone(text):
        return Intent(kind="stop", score=0.5)
    return intent


def _done(jobs: tuple[Job, ...]) -> tuple[list[Any], tuple[Job, ...]]:
    """(results of the jobs that are done, the others). Each job is asked once: a thread may finish it at any moment."""
    asked = [(job, job.result()) for job in jobs]
    return [result for _, result in asked if result is not None], tuple(job for job, result in asked if result is None)
