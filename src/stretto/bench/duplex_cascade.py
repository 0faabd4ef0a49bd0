"""Card "duplex-cascade": both cascades over all scenarios of the exam, on official init states.

`cascade` ends a turn by fixed silence, `cascade_smart_turn` by Smart-Turn v3.2; both act by a privileged skill.
`instruct` and `stop` are repeated at half and twice the delays of the latency card. A run of fewer than 30 trials a
scenario, and the smoke run, stay on development placements; the card counts how often official states were opened.
"""

from stretto.bench.card import Trial
from stretto.bench.duplex.card import ExamCard, exam_trials

STANDARD = 30
ARMS = ("cascade", "cascade_smart_turn")
SCALED = ("instruct", "stop")


class DuplexCascade(ExamCard):
    """The baseline of glued products, with its weak spots."""

    name = "duplex-cascade"
    seconds_per_trial = 11.0

    def trials(self, n: int | None) -> list[Trial]:
        """`n` trials (default 30) of each scenario and arm."""
        count = n or STANDARD
        split = "test" if count >= STANDARD else "dev"
        both = [exam_trials(arm, count, split) for arm in ARMS]
        mixed = [trial for pair in zip(*both, strict=True) for trial in pair]
        scaled = [trial for delays in (0.5, 2.0) for trial in exam_trials("cascade", count, split, SCALED, delays)]
        return mixed + scaled

    def quick(self) -> list[Trial]:
        """One trial of every scenario and arm, on development placements."""
        return [trial for arm in ARMS for trial in exam_trials(arm, 1, "dev")]
