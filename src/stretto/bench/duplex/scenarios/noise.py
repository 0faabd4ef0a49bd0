"""Noise: the task is said in it, and a burst comes while the arm moves; hear the one, ignore the other."""

from dataclasses import replace

import numpy as np

from stretto.bench.duplex.disturbances import disturbed, judge_disturbed
from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools
from stretto.core.rng import generator
from stretto.core.signals import Sound, Speech
from stretto.data import questions
from stretto.data.rooms import NOISES, Surroundings, heard_in, level, noise

RATE = 16_000


def sheet(case: Case) -> Sheet:
    """White, pink, hum or babble at 15 to 25 dB under the task, then 1.5 to 3.5 s of it alone."""
    kind = NOISES[case.number % len(NOISES)]
    babble = [case.speak(text, other=True).sound for text in questions.asides("side_talk", case.split)[:3]]
    told = case.instruct(case.tasks[case.number % len(case.tasks)])
    around = Surroundings(noise=kind, snr_db=case.between(15, 25, "snr"))
    told = replace(told, speech=heard_in(told.speech, around, case.seed % 2**31, babble))
    length = round(case.between(1.5, 3.5, "length") * RATE)
    bed = Sound(samples=(1e-3 * generator(case.seed, "bed").standard_normal(length)).astype(np.float32), rate=RATE)
    burst = level(noise(bed, kind, -60.0, case.seed % 2**31, babble), case.between(-36, -28, "level"))
    sound = Speech(text=f"[{kind}]", sound=burst, words=(), speaker="")
    made = disturbed(case, sound, polite=False, told=told)
    return replace(made, facts={**made.facts, "noise": kind})


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """Success without a reaction."""
    return judge_disturbed(sheet, episode)
