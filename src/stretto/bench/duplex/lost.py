"""Rows of a trial whose agent took its process down or never came back: scored as what it is."""

from collections.abc import Mapping
from typing import Any

from stretto.bench.duplex.scorers import NO_AUDIO_S
from stretto.sessions.measures import NEVER_STOPPED_S

TIMES = {
    "stop": {"stop_latency_s": NEVER_STOPPED_S, "settling_s": NEVER_STOPPED_S},
    "ask_scene": {"first_audio_s": NO_AUDIO_S},
    "ask_general": {"first_audio_s": NO_AUDIO_S},
}
VERDICTS = {"stop": ("stopped",), "ask_scene": ("scene_answer",), "ask_general": ("general_answer",)}


def lost_rows(params: Mapping[str, Any], why: str) -> list[dict[str, Any]]:
    """Nothing passed, every time at its time-out, the fault by name."""
    scenario = params.get("scenario", "")
    shared = {
        "arm": params.get("arm", ""),
        "unit": f"{scenario}/{params.get('split', '')}{params.get('number', 0)}",
        "seed": params.get("number", 0),
        "scenario": scenario,
        "split": params.get("split", ""),
        "delays": params.get("delays", 1.0),
        "privileged": params.get("privileged", True),
        "reflex": False,
        "fault": why,
    }
    rows = [{"row": "passed", "value": False}, {"row": "faulted", "value": True}]
    rows += [{"row": name, "value": False} for name in VERDICTS.get(scenario, ())]
    rows += [{"row": name, "value": value} for name, value in TIMES.get(scenario, {}).items()]
    return [{**shared, **row} for row in rows]
