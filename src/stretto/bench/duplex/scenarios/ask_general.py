"""A general question while the arm moves: answer it aloud and go on to the goal."""

from stretto.bench.duplex import scorers, spoken
from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools, row
from stretto.bench.duplex.scorers import NO_AUDIO_S, Verdict
from stretto.data import questions
from stretto.sessions.users.director import Reaction, acting

LEAST_S = 6.0
"""The answer may come this late, however early the goal is reached."""


def sheet(case: Case) -> Sheet:
    """A task and one of the split's questions."""
    goal = case.tasks[case.number % len(case.tasks)]
    asked = questions.general(case.split)
    question = asked[(case.number // len(case.tasks) + 3 * case.number) % len(asked)]
    prompts = [
        case.instruct(goal),
        case.ask(question.text, "ask_general", Reaction(say=question.answer), acting),
    ]
    facts = {"answer": question.answer, "keys": [list(keys) for keys in question.keys]}
    return Sheet(
        task=goal,
        placement=case.placement,
        prompts=prompts,
        watch=(goal,),
        end_goal=goal,
        least_s=LEAST_S,
        facts=facts,
    )


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """`passed`: the right answer was heard in the sound and the goal was reached."""
    told, asked = episode.of("instruct"), episode.of("ask_general")
    done = scorers.succeeded(episode, sheet.end_goal, told.end).passed if told is not None else False
    if asked is None:
        return [
            row("passed", False),
            row("general_answer", False),
            row("first_audio_s", NO_AUDIO_S),
            row("twin_success", done),
        ]
    heard = spoken.listen(episode, tools.ear(), asked.end)
    rivals = {
        question.text: question.keys
        for split in ("dev", "test")
        for question in questions.general(split)
        if question.answer != sheet.facts["answer"]
    }
    right = sheet.facts["keys"]
    rivals = {text: keys for text, keys in rivals.items() if not _overlap(keys, right)}
    said = spoken.answered(heard, right, rivals, asked.end, sheet.facts["answer"])
    turn = dialogue(episode, "ask_general")
    return [
        row("passed", said.passed and done, heard=[" ".join(stretch.words) for stretch in heard]),
        row("general_answer", said.passed),
        row("first_audio_s", scorers.first_audio(episode, asked.end).value),
        row("dialogue_turn", turn.passed),
        row("success_while_asked", done),
        row("twin_success", done),
    ]


def dialogue(episode: Episode, role: str) -> Verdict:
    """Answered aloud within 5 s, and not over the person; value: seconds to the first sound."""
    asked = episode.of(role)
    if asked is None:
        return Verdict(False, NO_AUDIO_S)
    audio = scorers.first_audio(episode, asked.end)
    polite = scorers.no_talk_over(episode, asked).passed
    return Verdict(audio.passed and polite, audio.value)


def _overlap(one: object, other: object) -> bool:
    words = [{word for keys in group for word in keys} for group in (one, other)]  # type: ignore[attr-defined]
    return bool(words[0] & words[1])
