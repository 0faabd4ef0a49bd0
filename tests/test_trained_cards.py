"""The cards of the shipped agent: which trials they have, and under which arm a row counts."""

from collections import Counter

import numpy as np
import pytest

from stretto.bench import tick_trained
from stretto.bench.duplex.card import Exams
from stretto.bench.duplex.play import Exam
from stretto.bench.duplex_controls import DuplexControls
from stretto.bench.duplex_tiny import DuplexTiny
from stretto.core.errors import StrettoError
from stretto.core.signals import Sound, Speech
from stretto.data import questions, talk

ROWS = {
    "instruct": ("passed", "success", "action_turn"),
    "ask_general": ("passed", "general_answer", "first_audio_s", "dialogue_turn", "twin_success"),
    "ask_scene": ("passed", "scene_answer", "dialogue_turn", "twin_success"),
    "stop": ("passed", "stopped_600ms", "stop_latency_s", "travel_over_floor_cm"),
    "pause_resume": ("passed", "resumed_success"),
    "correct": ("passed", "correct_success"),
    "defective": ("passed", "refused"),
    "twin": ("passed", "refused_twin"),
}
"""Scenario -> rows that its judge gives."""


class Judged(Exam):
    """An exam without a world, whose sessions all go well."""

    def __init__(self):
        pass

    def rows(self, scenario, number, arm, delays, judged=""):
        fields = {"arm": arm, "unit": f"{scenario}/{number}", "seed": number, "scenario": scenario, "delays": delays}
        more = {"privileged": False, "reflex": False, "when": scenario.rpartition("_")[2], "kind": scenario}
        default = ("passed", "switch_success" if "switch" in scenario else "false_reaction")
        names = (*ROWS.get(judged or scenario, default), "late_ticks")
        return [{**fields, **more, "row": name, "value": True} for name in names]


class Mouth:
    """A voice without an engine."""

    def speak(self, text, seed=0):
        return Speech(text=text, sound=Sound(samples=np.zeros(16_000, np.float32), rate=16_000), words=())


def rows_of(card):
    exams = Exams(dict.fromkeys(("dev", "test"), Judged()))
    return [row for trial in card.trials(None) for row in card.run(trial, exams)]


BARS = {
    "duplex-tiny": {
        "success": {"duplex": 200, "cascade_policy": 200},
        "action_turn": {"duplex": 200},
        "dialogue_turn": {"duplex": 100},
        "stopped_600ms": {"duplex": 150},
        "travel_over_floor_cm": {"duplex": 150},
        "resumed_success": {"duplex": 60},
        "switch_success": {"duplex": 180},
        "correct_success": {"duplex": 60},
        "refused": {"duplex": 60},
        "refused_twin": {"duplex": 60},
        "scene_answer": {"duplex": 100},
        "general_answer": {"duplex": 80, "read": 80},
        "twin_success": {"speaking": 300, "silent": 300},
        "false_reaction": {"duplex": 160},
    },
    "duplex-controls": {
        "success": {"silence": 60, "wrong_instruction": 60, "heard_off": 50, "heard_wrong": 50, "duplex": 100},
        "scene_answer": {"duplex": 80, "shuffled_images": 80},
    },
}
"""Row -> arm -> trials that the card must have."""


@pytest.mark.parametrize("card", [DuplexTiny(), DuplexControls()], ids=lambda card: card.name)
def test_every_bar_has_its_trials_each_once_and_in_pairs(card):
    rows = rows_of(card)
    counted = Counter((row["row"], row["arm"]) for row in rows)
    for name, wanted in BARS[card.name].items():
        for arm, least in wanted.items():
            assert counted[name, arm] >= least, (name, arm)
    twice = Counter((row["row"], row["arm"], row["unit"], row["seed"], row["delays"]) for row in rows)
    assert set(twice.values()) == {1}
    for name, (one, other) in {"twin_success": ("speaking", "silent"), "general_answer": ("duplex", "read")}.items():
        units = [{row["unit"] for row in rows if (row["row"], row["arm"]) == (name, arm)} for arm in (one, other)]
        assert units[0] == units[1]


def test_the_ticks_conversation_is_of_development_and_has_both_kinds_of_questions(monkeypatch):
    monkeypatch.setattr(tick_trained, "speaker", lambda name, still: Mouth())
    said = [cue.speech.text for cue in tick_trained.conversation(120.0)]
    assert said[0] in {line.text for line in talk.lines("instruct", "dev")}
    assert {question.text for question in questions.general("dev")} & set(said)
    assert {text for kind in questions.SCENE for text in questions.scene(kind, "dev")} & set(said)


def test_a_cut_run_has_the_same_share_of_each_kind():
    keys = [trial.key.rpartition("/")[0] for trial in DuplexTiny().trials(None)]
    all_of, half_of = Counter(keys), Counter(keys[: len(keys) // 2])
    assert all(abs(half_of[kind] - count / 2) <= 1 for kind, count in all_of.items())


def test_few_trials_never_open_official_states():
    assert {trial.params["split"] for trial in DuplexTiny().trials(2) + DuplexControls().trials(2)} == {"dev"}


def test_without_the_shipped_weights_the_cards_say_how_to_train_them(monkeypatch):
    monkeypatch.setattr("stretto.bench.duplex_tiny.SHIPPED", "weights/none")
    with pytest.raises(StrettoError, match="stretto train duplex"):
        _ = DuplexTiny().weights
