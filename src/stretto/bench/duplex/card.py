"""What the cards of the exam share: trials by arm, scenario and delays, stuck and dead agents, the page's own parts.

A trial's key says all of it: `cascade/x1/stop/test7`. Official init states (split test) are opened by full cards
only; a smoke run and a card of fewer trials than the standard use development placements, voices and wordings.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stretto.bench.card import Trial
from stretto.bench.duplex.gallery import gallery
from stretto.bench.duplex.lost import lost_rows
from stretto.bench.duplex.play import Exam
from stretto.bench.duplex.scenarios import SCENARIOS
from stretto.bench.duplex.tables import tables

Row = dict[str, Any]


@dataclass
class Exams:
    """The exams of a worker by split, each opened when it is first needed."""

    opened: dict[str, Exam] = field(default_factory=dict)

    def __getitem__(self, split: str) -> Exam:
        if split not in self.opened:
            self.opened[split] = Exam.open(split)
        return self.opened[split]

    def close(self) -> None:
        """End all worlds."""
        for exam in self.opened.values():
            exam.close()


class ExamCard(ABC):
    """The base of the exam's cards. A subclass names itself and lists its trials."""

    name = "duplex"
    clock = "virtual"
    parallel = True
    seconds_per_trial = 8.0
    patience_s = 400.0
    clips = 17
    headline = ("passed", "verdict_right", "time_error_s", "scene_answer", "identical", "stop_latency_s")

    @abstractmethod
    def trials(self, n: int | None) -> list[Trial]:
        """All trials of the card."""

    def find(self, key: str) -> Trial | None:
        """Any arm in any scenario, on this card or not: `duplex/x1/stop/dev7`."""
        found = re.fullmatch(r"([\w:]+)/x([\d.]+)/(\w+)/(dev|test)(\d+)", key)
        if found is None or found[3] not in SCENARIOS:
            return None
        arm, delays, scenario, split, number = found.groups()
        params = {"arm": arm, "scenario": scenario, "number": int(number), "split": split, "delays": float(delays)}
        return Trial(key, params)

    def open(self) -> Exams:
        """Nothing yet: worlds are opened by split."""
        return Exams()

    def run(self, trial: Trial, state: Exams) -> list[Row]:
        """The rows of one trial of an arm."""
        p = trial.params
        rows = state[p["split"]].rows(p["scenario"], p["number"], p["arm"], p["delays"], self.judged(p))
        return [{**row, "split": p["split"]} for row in rows]

    def judged(self, params: Mapping[str, Any]) -> str:
        """The scenario as which a trial is judged, "" is its own."""
        return ""

    def close(self, state: Exams) -> None:
        """End the worlds."""
        state.close()

    def lost(self, trial: Trial, why: str) -> list[Row]:
        """The rows of a trial whose process died or hung: nothing passed, times at their time-outs."""
        return lost_rows(trial.params, why)

    def appendix(self, rows: Sequence[Mapping[str, Any]], folder: Path, quick: bool) -> str:
        """The page's tables by scenario, paired comparisons, faults, and the gallery."""
        exams = Exams()
        try:
            shown = gallery(self.name, rows, folder, exams, 2 if quick else self.clips)  # type: ignore[arg-type]
        finally:
            exams.close()
        return tables(rows, quick) + shown


def exam_trials(arm: str, count: int, split: str, scenarios: Sequence[str] = (), delays: float = 1.0) -> list[Trial]:
    """`count` trials of an arm in each scenario, scenario by scenario in each round, so that a cut run is balanced."""
    return [
        Trial(
            f"{arm}/x{delays:g}/{scenario}/{split}{number}",
            {"arm": arm, "scenario": scenario, "number": number, "split": split, "delays": delays},
        )
        for number in range(count)
        for scenario in scenarios or SCENARIOS
    ]
