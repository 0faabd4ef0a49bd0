"""A question about the scene, while the arm acts or stands; the answer is what the simulator says when it is asked.

Half of the questions are of the types with a few answers each, in a scene in which the wanted one is true where it can
be arranged; so no answer is the commonest by far. The others are whatever people ask.
"""

from dataclasses import replace
from typing import Any

from stretto.data import questions
from stretto.envs.experts.libero_goal.answers import answer
from stretto.sessions import scene
from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot
from stretto.sessions.users.director import Prompt, Reaction, acting, holding

TYPED = 0.6
"""Share of the questions of a type with a few answers."""


def add(plot: Plot, draw: Draw) -> Plot:
    """Only the first question of a composition may arrange the scene, which the arm has not touched then."""
    number = len(plot.prompts)
    if draw.chance(TYPED, "ask_scene typed", number):
        return _typed(plot, draw, number)
    saying, goal = draw.saying("ask_scene", number), plot.goal
    topic = saying.topic or saying.text

    def true(world: Any) -> str:
        return answer(world, topic, goal)

    return plot.then(_prompt(plot, draw, draw.speak(saying), Reaction(answer=true), number))


def _typed(plot: Plot, draw: Draw, number: int) -> Plot:
    kind = draw.pick(list(scene.KINDS), "ask_scene kind", number)
    facts = scene.KINDS[kind]
    wanted = draw.pick(facts.wanted, "ask_scene wanted", number)
    fresh = plot.arrangement.empty and len(plot.prompts) <= 1 and (not plot.goal or plot.goal in facts.tasks)
    plot = replace(plot, arrangement=scene.arrangement(kind, wanted)) if fresh else plot

    def true(world: Any) -> str:
        return facts.sentences.get(scene.truth(kind, world), "")

    text = draw.pick(questions.scene(kind, draw.split), "ask_scene wording", number)
    held = kind == "holding" and plot.moving and draw.chance(0.7, "ask_scene held", number)
    prompt = _prompt(plot, draw, draw.speak(text), Reaction(answer=true), number)
    return plot.then(replace(prompt, when=holding, wait_s=0.3) if held else prompt)


def _prompt(plot: Plot, draw: Draw, speech: Any, reaction: Reaction, number: int) -> Prompt:
    return Prompt(
        role="ask_scene",
        speech=speech,
        when=acting if plot.moving else None,
        wait_s=draw.between(0.3, 2.5, "ask_scene wait", number),
        polite=True,
        reaction=reaction,
    )
