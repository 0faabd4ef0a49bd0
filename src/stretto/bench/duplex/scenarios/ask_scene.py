"""A question about the scene while the arm moves: the answer that the simulator gives is heard in the sound."""

import functools
from collections import Counter

from stretto.bench.duplex import scorers, spoken
from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools, row
from stretto.bench.duplex.scenarios.ask_general import LEAST_S, dialogue
from stretto.bench.duplex.scorers import NO_AUDIO_S
from stretto.core.rng import generator
from stretto.data import questions
from stretto.sessions import scene
from stretto.sessions.users.director import Reaction, acting, holding

HOLD_S = 1.5
"""While something is in the hand the question must come soon."""


def drawn(number: int) -> tuple[str, str]:
    """The type and the wanted answer of a trial: types by turns, answers evenly over each block of a type's trials."""
    kinds = list(scene.KINDS)
    kind, turn = kinds[number % len(kinds)], number // len(kinds)
    wanted = scene.KINDS[kind].wanted
    order = generator(turn // len(wanted), "exam", "answers", kind).permutation(len(wanted))
    return kind, wanted[int(order[turn % len(wanted)])]


@functools.lru_cache(maxsize=16)
def commonest(kind: str, trials: int = 112) -> str:
    """The answer that is wanted most often among the first trials of a type; the first of several."""
    counts = Counter(answer for k, answer in (drawn(number) for number in range(trials)) if k == kind)
    return max(scene.KINDS[kind].wanted, key=lambda answer: counts[answer])


def sheet(case: Case) -> Sheet:
    """A task that leaves the asked thing alone (or holds it), a scene in which the wanted answer is true."""
    kind, wanted = drawn(case.number)
    facts = scene.KINDS[kind]
    goal = facts.by_answer.get(wanted) or case.pick(facts.tasks, "task")
    in_hand = kind == "holding" and wanted != "nothing"
    ask = case.ask(
        case.pick(questions.scene(kind, case.split), "wording"),
        "ask_scene",
        Reaction(answers=dict(facts.sentences)),
        holding if in_hand else acting,
        latest_s=0.6 if in_hand else HOLD_S,
    )
    return Sheet(
        task=goal,
        placement=case.placement,
        prompts=[case.instruct(goal), ask],
        watch=(goal,),
        arrangement=scene.arrangement(kind, wanted),
        answer=lambda world: scene.truth(kind, world),
        end_goal=goal,
        least_s=LEAST_S,
        facts={"question": kind, "wanted": wanted, "commonest": commonest(kind)},
    )


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """`passed`: right answer heard, and the goal reached. Right is what was true from the question to the answer."""
    told, asked = episode.of("instruct"), episode.of("ask_scene")
    done = scorers.succeeded(episode, sheet.end_goal, told.end).passed if told is not None else False
    if asked is None:
        return [
            row("passed", False),
            row("scene_answer", False),
            row("first_audio_s", NO_AUDIO_S),
            row("twin_success", done),
        ]
    answers = scene.KINDS[sheet.facts["question"]].answers
    heard = spoken.listen(episode, tools.ear(), asked.end)
    audio = scorers.first_audio(episode, asked.end)
    until = asked.end + min(audio.value, 3.0)
    true = {state.answer for state in episode.truth if asked.end - 0.2 <= state.t <= until} - {""}
    said = any(
        spoken.answered(heard, answers[key], {k: w for k, w in answers.items() if k != key}, asked.end).passed
        for key in true
    )
    return [
        row("passed", said and done, heard=[" ".join(stretch.words) for stretch in heard], true=sorted(true)),
        row("scene_answer", said),
        row("first_audio_s", audio.value),
        row("dialogue_turn", dialogue(episode, "ask_scene").passed),
        row("success_while_asked", done),
        row("twin_success", done),
    ]
