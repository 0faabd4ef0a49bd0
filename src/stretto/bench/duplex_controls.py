"""Card "duplex-controls": what the shipped agent does when something is taken away from it.

arms: silence (nobody is heard) · wrong_instruction (another task is asked for, the first one's goal is judged) ·
heard_off, heard_wrong (what it hears in words is cut, or another task's words take their place) · shuffled_images
(pictures of another task's episode) · duplex, beside them, and at half and twice the delays.
"""

from stretto.bench.card import Trial
from stretto.bench.duplex.card import exam_trials
from stretto.bench.duplex_tiny import AGENT, FEWEST, TrainedCard

TOLD = {"silence": 60, "wrong_instruction": 60, "heard_off": 50, "heard_wrong": 50}
ASKED, SCALED = 80, 50


class DuplexControls(TrainedCard):
    """480 sessions."""

    name = "duplex-controls"

    def trials(self, n: int | None) -> list[Trial]:
        """All, or at most `n` of each kind."""
        most = n or ASKED
        split = "test" if most >= FEWEST else "dev"
        found = []
        for arm, count in TOLD.items():
            found += exam_trials(arm, min(count, most), split, ["instruct"])
        for arm in (AGENT, "shuffled_images"):
            found += exam_trials(arm, min(ASKED, most), split, ["ask_scene"])
        for delays in (0.5, 2.0):
            found += exam_trials(AGENT, min(SCALED, most), split, ["instruct"], delays)
        return [Trial(trial.key, {**trial.params, "privileged": False}) for trial in found]

    def quick(self) -> list[Trial]:
        """One of each kind."""
        return self.trials(1)
