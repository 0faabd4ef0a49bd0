"""One table of everything that has a name: kind -> name -> "module:Class". Nothing is imported until it is asked for.

`stretto list` and `stretto show NAME` read the table and the docstrings as text (`ast`), so listing costs neither
torch nor a simulator. A new part is one file and one line here.
"""

import ast
import importlib
import importlib.util
from pathlib import Path
from typing import Any

from stretto.core.errors import StrettoError, unknown

TABLE: dict[str, dict[str, str]] = {
    "env": {
        "dummy": "stretto.envs.dummy:Dummy",
        "libero": "stretto.envs.libero:Libero",
    },
    "expert": {
        "dummy": "stretto.envs.experts.dummy:DummyExpert",
        "libero_goal": "stretto.envs.experts.libero_goal:LiberoGoalExpert",
    },
    "agent": {
        "zero": "stretto.agents.zero:Zero",
        "random": "stretto.agents.random:Random",
        "scripted": "stretto.agents.scripted:Scripted",
        "cascade": "stretto.agents.cascade:Cascade",
        "duplex": "stretto.agents.duplex:Duplex",
        "policy": "stretto.agents.policy:Policy",
        "cascade_policy": "stretto.agents.cascade_policy:CascadePolicy",
    },
    "execution": {
        "latest": "stretto.runtime.execution:Latest",
    },
    "voice": {
        "piper": "stretto.speak.piper:Piper",
        "kokoro": "stretto.speak.kokoro:Kokoro",
        "espeak": "stretto.speak.espeak:Espeak",
        "flite": "stretto.speak.flite:Flite",
        "festival": "stretto.speak.festival:Festival",
    },
    "layout": {
        "tick200": "stretto.think.layouts.tick200:Tick200",
        "listener200": "stretto.think.layouts.listener200:Listener200",
        "ellsa": "stretto.think.layouts.ellsa:Ellsa",
    },
    "listening": {
        "silero": "stretto.listen.vad:Silero",
        "whisper": "stretto.listen.whisper:Whisper",
        "spotter": "stretto.listen.spotter.runner:Spotter",
    },
    "image_encoder": {
        "conv": "stretto.look.encoders.conv:ConvTokens",
        "efficientnet": "stretto.look.encoders.efficientnet:EfficientNetTokens",
    },
    "speech_encoder": {
        "whisper_tiny": "stretto.listen.encoders.whisper:WhisperEncoder",
    },
    "action_head": {
        "flow": "stretto.act.heads.flow:FlowHead",
    },
    "action_tokenizer": {
        "bins": "stretto.act.tokenizers.bins:Bins",
        "fast": "stretto.act.tokenizers.fast:Fast",
    },
    "turns": {
        "fixed_silence": "stretto.listen.turns.fixed_silence:FixedSilence",
        "smart_turn": "stretto.listen.turns.smart_turn:SmartTurn",
    },
    "user": {
        "script": "stretto.sessions.users.script:Script",
    },
    "recipe": {
        "spotter": "stretto.train.spotter:SpotterTraining",
        "duplex": "stretto.recipes.duplex:DuplexTraining",
        "hear": "stretto.recipes.hear:HearTraining",
        "policy_goal": "stretto.recipes.policy_goal:PolicyGoal",
    },
    "benchmark": {
        "experts": "stretto.bench.experts:Experts",
        "cascade": "stretto.bench.cascade:CascadeCard",
        "latency": "stretto.bench.latency:Latency",
        "reflex-costs": "stretto.bench.reflex_costs:ReflexCosts",
        "reflex": "stretto.bench.reflex:ReflexCard",
        "render": "stretto.bench.render:Render",
        "record": "stretto.bench.record:Record",
        "duplex-scorers": "stretto.bench.duplex_scorers:DuplexScorers",
        "duplex-cascade": "stretto.bench.duplex_cascade:DuplexCascade",
        "backbone": "stretto.bench.backbone:BackboneCard",
        "tick": "stretto.bench.tick:Tick",
        "hearing": "stretto.bench.hearing:HearingCard",
        "live": "stretto.bench.live:Live",
        "policy-goal": "stretto.bench.policy_goal:PolicyGoal",
        "duplex-tiny": "stretto.bench.duplex_tiny:DuplexTiny",
        "duplex-controls": "stretto.bench.duplex_controls:DuplexControls",
        "tick-trained": "stretto.bench.tick_trained:TickTrained",
    },
}


def names(kind: str) -> list[str]:
    """All names of one kind, in the table's order."""
    if kind not in TABLE:
        raise unknown("kind", kind, TABLE)
    return list(TABLE[kind])


def load(kind: str, name: str) -> type:
    """The class behind a name. Raises StrettoError with the nearest name when there is none."""
    if name not in names(kind):
        raise unknown(kind, name, TABLE[kind])
    module, _, attribute = TABLE[kind][name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def build(kind: str, name: str, *args: Any, **config: Any) -> Any:
    """The object behind a name, made from its default Config with `config` fields replaced."""
    return load(kind, name).Config(**config).build(*args)  # type: ignore[attr-defined]


def kinds_of(name: str) -> list[str]:
    """The kinds under which a name stands. Raises StrettoError when it stands nowhere."""
    found = [kind for kind, table in TABLE.items() if name in table]
    if not found:
        raise unknown("name", name, {entry for table in TABLE.values() for entry in table})
    return found


def source(kind: str, name: str) -> Path:
    """The file that holds a name, found without importing it."""
    module = TABLE[kind][name].partition(":")[0]
    path = Path(__file__).parents[1].joinpath(*module.split(".")[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    raise StrettoError(f"The table names {module} for {kind} '{name}', but there is no such file.")


def describe(kind: str, name: str) -> str:
    """The header docstring of the file behind a name, read as text."""
    return ast.get_docstring(ast.parse(source(kind, name).read_text())) or ""
