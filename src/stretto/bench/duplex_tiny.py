"""Card "duplex-tiny": the shipped agent in the exam, by itself: no reflex, no simulator state, its own ears and words.

Official init states, test speakers and wordings, the virtual clock with measured delays. Trials share episodes: a
question's session has a silent twin, which hears the instruction alone on the same placement. The twin of a general
question is a plain spoken instruction, so it is also judged as one; `cascade_policy` is judged on the same.

arms: duplex · cascade_policy (the cascade's ears, rules and voice around a policy of its own) · speaking and silent
(row `twin_success`: a session with a question in it, and its twin) · read (the general question alone, typed: what the
same weights know when they need not hear).
"""

from collections.abc import Mapping
from typing import Any

from stretto.agents.checkpoint import digest, find_weights
from stretto.agents.duplex import SHIPPED
from stretto.bench.card import Trial
from stretto.bench.duplex.card import ExamCard, Exams, Row, exam_trials

AGENT, BASE = "duplex", "cascade_policy"
GENERAL, SCENE = 200, 100
OTHERS = {
    "stop": 150, "pause_resume": 60, "switch_early": 60, "switch_mid": 60, "switch_late": 60, "correct": 60,
    "defective": 60, "twin": 60, "backchannel": 40, "echo": 40, "noise": 40, "side_talk": 40,
}  # fmt: skip
TOLD = ("success", "action_turn", "moved_early", "moved_during_cm", "first_motion_s")
"""What a silent twin says of its agent under a plain instruction."""
FEWEST = 30
"""With fewer trials of a kind a run stays on development placements."""


class TrainedCard(ExamCard):
    """A card of the shipped agent: rows of other weights are never mixed in."""

    seconds_per_trial = 13.0

    @property
    def weights(self) -> str:
        """The hash of the shipped checkpoint. Raises StrettoError when there is none."""
        return digest(find_weights(SHIPPED, AGENT))


class DuplexTiny(TrainedCard):
    """1 730 sessions."""

    name = "duplex-tiny"

    def trials(self, n: int | None) -> list[Trial]:
        """All, or at most `n` of each kind; a cut run has the same share of each."""
        most = n or GENERAL
        split = "test" if most >= FEWEST else "dev"
        general, scene = min(GENERAL, most), min(SCENE, most)
        kinds = [
            exam_trials(AGENT, general, split, ["ask_general"]),
            exam_trials(AGENT, scene, split, ["ask_scene"]),
            exam_trials("silent", general, split, ["ask_general"]),
            exam_trials("silent", scene, split, ["ask_scene"]),
            exam_trials(f"silent:{BASE}", general, split, ["ask_general"]),
            exam_trials("read", general, split, ["ask_general"]),
            *(exam_trials(AGENT, min(count, most), split, [scenario]) for scenario, count in OTHERS.items()),
        ]
        found = [((place + 0.5) / len(kind), trial) for kind in kinds for place, trial in enumerate(kind)]
        found.sort(key=lambda one: one[0])
        return [Trial(trial.key, {**trial.params, "privileged": False}) for _, trial in found]

    def quick(self) -> list[Trial]:
        """One of each kind."""
        return self.trials(1)

    def run(self, trial: Trial, state: Exams) -> list[Row]:
        """The rows of a trial, each under the arm whose bar it serves."""
        arm, rows = trial.params["arm"], super().run(trial, state)
        if arm == AGENT:
            return [{**row, "arm": "speaking"} if row["row"] == "twin_success" else row for row in rows]
        if arm == "read":
            return [row for row in rows if row["row"] in ("general_answer", "first_audio_s")]
        twin = [{**row, "row": "twin_success"} for row in rows if arm == "silent" and row["row"] == "success"]
        told = AGENT if arm == "silent" else BASE
        if trial.params["scenario"] != "ask_general":
            return twin + [row for row in rows if row["row"] not in TOLD]
        return twin + [{**row, "arm": told} if row["row"] in TOLD else row for row in rows]

    def judged(self, params: Mapping[str, Any]) -> str:
        """Twins are judged as plain instructions."""
        return "instruct" if params["arm"].startswith("silent") else ""
