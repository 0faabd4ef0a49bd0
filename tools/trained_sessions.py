"""Recorded sessions of the trained agent, for the docs: film with sound, score, events, and what was said, a page.

    .venv/bin/python tools/trained_sessions.py docs/sessions ask_scene/dev3 stop/dev1 switch_mid/dev2

Each is a trial of the exam (docs/exam.md) on development placements, voices and wordings, played as it is scored:
virtual clock, measured delays, no reflex.
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

from stretto.bench.duplex.play import Exam
from stretto.bench.duplex.scenarios import SCENARIOS
from stretto.sessions.report import tell, write_session

FPS = 10


def main(folder: Path, trials: list[str]) -> None:
    """Plays the trials and writes their files and a page."""
    exam, told = Exam.open("dev"), []
    try:
        for trial in trials:
            scenario, number = re.fullmatch(r"(\w+)/dev(\d+)", trial).groups()  # type: ignore[union-attr]
            place = folder / f"{scenario}-{number}"
            place.mkdir(parents=True, exist_ok=True)
            played = exam.play(scenario, int(number), "duplex", film_hz=FPS)
            rows = SCENARIOS[scenario].judge(played.sheet, played.episode, exam)
            passed = next(bool(row["value"]) for row in rows if row["row"] == "passed")
            trace = replace(played.trace, agent="duplex")
            write_session(trace, place)
            told.append(
                f"## {scenario}, development {number}: {'passed' if passed else 'failed'}\n\n"
                f"[film with sound]({place.name}/session.mp4) · [events]({place.name}/events.jsonl)\n\n"
                f"![score]({place.name}/score.png)\n\n```\n{tell(trace)}\n```\n"
            )
            print(told[-1])
    finally:
        exam.close()
    command = f".venv/bin/python tools/trained_sessions.py {folder} {' '.join(trials)}"
    head = (
        "# The trained agent, seen and heard\n\nTrials of the [exam](../exam.md) on development placements, voices "
        "and wordings, without the reflex.\nHeard is what the agent itself wrote down, said what it spoke. Made by\n\n"
        f"```\n{command}\n```\n\n"
    )
    (folder / "README.md").write_text(head + "\n".join(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
