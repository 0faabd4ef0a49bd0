"""The scenarios of the exam, one small file each: `sheet(case)` and `judge(sheet, episode, tools)`."""

from stretto.bench.duplex.scenario import Scenario
from stretto.bench.duplex.scenarios import (
    ask_general,
    ask_scene,
    backchannel,
    correct,
    defective,
    echo,
    instruct,
    noise,
    pause_resume,
    side_talk,
    silence,
    stop,
    switch_early,
    switch_late,
    switch_mid,
    twin,
    two_instructions,
)

SCENARIOS: dict[str, Scenario] = {
    "instruct": instruct,
    "silence": silence,
    "ask_general": ask_general,
    "ask_scene": ask_scene,
    "stop": stop,
    "pause_resume": pause_resume,
    "switch_early": switch_early,
    "switch_mid": switch_mid,
    "switch_late": switch_late,
    "correct": correct,
    "defective": defective,
    "twin": twin,
    "backchannel": backchannel,
    "side_talk": side_talk,
    "noise": noise,
    "echo": echo,
    "two_instructions": two_instructions,
}
"""All scenarios by name."""
