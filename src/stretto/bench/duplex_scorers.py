"""Card "duplex-scorers": nobody marks his own paper, the exam least of all.

Injected truth: cases with known values for every scorer, half of them meant to pass (rows verdict_right, should_pass,
time_error_s; no delay is drawn for them). Upper bound and floor: `scripted` and `zero` in every scenario. `commonest`
answers every scene question with its type's commonest answer. Some trials are run twice: rows are identical. All on
development placements.
"""

import json
from typing import Any

from stretto.bench.card import Trial
from stretto.bench.duplex import injected, injected_spoken
from stretto.bench.duplex.card import ExamCard, Exams, Row, exam_trials
from stretto.bench.duplex.scorers import Verdict

CASES = 24
"""Injected cases of each scorer."""
BATCH = 8
"""Injected cases of one trial."""
COMMONEST = 112
TWICE = 3
SPLIT = "dev"


class DuplexScorers(ExamCard):
    """Injected truth, the bounds, and what repeats."""

    name = "duplex-scorers"
    seconds_per_trial = 7.0

    def trials(self, n: int | None) -> list[Trial]:
        """`n` trials (default 20) of each scenario and bound, and all that the other bars need."""
        count = n or 20
        part = min(1.0, count / 20)
        commonest = exam_trials("commonest", round(COMMONEST * part), SPLIT, ("ask_scene",))
        twice = [_twice(trial) for trial in exam_trials("scripted", max(1, round(TWICE * part)), SPLIT)]
        bounds = exam_trials("scripted", count, SPLIT) + exam_trials("zero", count, SPLIT)
        return [*_injected(), *bounds, *commonest, *twice]

    def quick(self) -> list[Trial]:
        """One batch of every scorer, one trial of every scenario."""
        first = [trial for trial in _injected() if trial.params["first"] == 0]
        return first + exam_trials("scripted", 1, SPLIT) + exam_trials("zero", 1, SPLIT)

    def run(self, trial: Trial, state: Exams) -> list[Row]:
        """Injected cases, a trial of an arm, or a trial twice."""
        p = trial.params
        if "scorer" in p:
            return _injected_rows(p["scorer"], range(p["first"], p["first"] + BATCH), state)
        rows = super().run(trial, state)
        if p.get("twice"):
            return [_same(rows, super().run(trial, state), p)]
        if p["arm"] == "commonest":
            return [row for row in rows if row["row"] in ("scene_answer", "first_audio_s")]
        return rows


def _injected() -> list[Trial]:
    names = [*injected.MAKERS, *injected_spoken.MAKERS]
    firsts = range(0, CASES, BATCH)
    return [Trial(f"injected/{name}/{k}", {"scorer": name, "first": k}) for name in names for k in firsts]


def _twice(trial: Trial) -> Trial:
    return Trial(f"twice/{trial.key}", {**trial.params, "twice": True})


def _injected_rows(scorer: str, numbers: range, state: Exams) -> list[Row]:
    rows: list[Row] = []
    for number in numbers:
        if scorer in injected.MAKERS:
            case = injected.case(scorer, number)
        else:
            exam = state[SPLIT]
            case = injected_spoken.case(scorer, number, exam.robot_voice, exam.ear())
        shared = {"arm": "injected", "scorer": scorer, "unit": f"{scorer}/{number}", "seed": number}
        shared |= {"delays": 1.0, "privileged": False, "reflex": False}
        right = case.verdict.passed == case.should_pass
        found: dict[str, Any] = {"verdict_right": right, "should_pass": case.should_pass}
        if case.time_s is not None:
            found["time_error_s"] = abs(_float(case.verdict) - case.time_s)
        rows += [{"row": name, "value": value, **shared} for name, value in found.items()]
    return rows


def _float(verdict: Verdict) -> float:
    return float(verdict.value)


def _same(one: list[Row], two: list[Row], params: Any) -> Row:
    """Whether two runs of a trial gave the same rows, as they are stored."""
    equal = json.dumps(one, default=str) == json.dumps(two, default=str)
    keep = ("arm", "unit", "seed", "scenario", "split", "delays", "privileged", "reflex", "latency_card")
    shared = {name: one[0][name] for name in keep if name in one[0]}
    return {**shared, "row": "identical", "value": equal, "rows": len(one)}
