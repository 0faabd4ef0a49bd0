"""An agent that knows the script and sees the truth: the exam's upper bound, and the teacher of composed sessions."""

from stretto.core.protocols import Context, Voice
from stretto.core.signals import Act, Observation, Output, SkillRequest
from stretto.sessions.score import stop_word_end
from stretto.sessions.users.director import Director, Reaction

REACT_S = 0.1
"""How long after the end of a line the scripted arm reacts, at the least; its tick comes on top."""


class Prompted:
    """An agent that knows the script and sees the truth: reacts to each line once it was said. Privileged.

    It reacts `react_s` after a line's end, or after the end of the word that halts. `told`: what it said to each line.
    """

    privileged = True

    def __init__(self, director: Director, voice: Voice, react_s: float = REACT_S) -> None:
        self.director, self.voice, self.react_s = director, voice, react_s
        self.told: dict[int, str] = {}

    def start(self, context: Context) -> int:
        """The state is the number of lines it has reacted to."""
        return 0

    def step(self, obs: Observation, state: int) -> tuple[Output, int]:
        """The reactions that are due."""
        skill: list[SkillRequest] = []
        act, speech = Act.KEEP, []
        said = self.director.said
        while state < len(said) and self._heard(state) <= obs.t:
            reaction = self.director.prompts[state].reaction
            if reaction.goal:
                skill.append(SkillRequest(verb="start", goal=reaction.goal))
            act = Act.HALT if reaction.halt else Act.MOVE if reaction.move else act
            text = self._text(reaction)
            speech += [self.voice.speak(text)] if text else []
            self.told[state] = text
            state += 1
        say = " ".join(piece.text for piece in speech)
        return Output(act=act, skill=tuple(skill), speech=tuple(speech), say=say), state

    def _text(self, reaction: Reaction) -> str:
        if reaction.answer is not None:
            return reaction.answer(self.director.world.env.scene())
        return reaction.answers.get(self.director.world.truth[-1].answer, "") or reaction.say

    def _heard(self, number: int) -> float:
        """When it reacts to a line: after its end, to a stop after the end of the stop word."""
        said, halts = self.director.said[number], self.director.prompts[number].reaction.halt
        assert said.speech is not None
        end = stop_word_end(said.speech.words, said.speech.end) if halts else said.speech.end
        return said.t + end + (min(REACT_S, self.react_s) if halts else self.react_s)
