"""A question that has nothing to do with the scene, or a kind word, while the arm acts or stands; answer it."""

from stretto.data import common, questions, talk_facts
from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot
from stretto.sessions.users.director import Prompt, Reaction

SMALL_TALK = {
    "name": ("My name is Stretto.", "I am Stretto, a robot arm."),
    "able": ("I can put things where you want them, open drawers and turn on the stove.",),
    "well": ("I am fine, thank you.", "I am doing well, thanks."),
    "thanks": ("You are welcome.", "My pleasure."),
}
"""What is answered to what is said out of kindness, by topic."""

KNOWN, FACTS = 0.65, 0.1
"""Shares of plain questions and of facts; the rest is small talk."""


def add(plot: Plot, draw: Draw) -> Plot:
    """At any time."""
    number = len(plot.prompts)
    text, reply = question(draw, number)
    prompt = Prompt(
        role="ask_general",
        speech=draw.speak(text),
        when=plot.when,
        wait_s=draw.between(0.3, 2.5, "ask_general wait", number),
        polite=True,
        reaction=Reaction(say=reply),
    )
    return plot.then(prompt)


def question(draw: Draw, number: int) -> tuple[str, str]:
    """What is asked, and the answer."""
    luck = draw.between(0, 1, "ask_general", number)
    if luck > KNOWN + FACTS:
        for turn in range(20):
            saying = draw.saying("ask_general", number, turn)
            if saying.topic in SMALL_TALK:
                return saying.text, draw.pick(SMALL_TALK[saying.topic], "ask_general reply", number)
    if KNOWN < luck <= KNOWN + FACTS:
        asked, name = draw.pick(talk_facts.questions(draw.split), "ask_general fact", number)
        return asked, f"{name[0].upper()}{name[1:]}."
    told = [(known.text, known.answer) for known in questions.general(draw.split)]
    return draw.pick([*told, *common.questions()], "ask_general known", number)
