"""Sizes of the duplex agent: one dial from which all numbers follow.

debug: 16 wide, random, for tests · tiny: SmolLM2-135M, Whisper-tiny's encoder, an action expert of ten layers ·
debug-listener, tiny-listener: the same with a listening expert, so that the language expert only reads ·
debug-duplex, tiny-duplex: what speaks and what decides are these experts with adapters, which learn last ·
base: SmolLM2-1.7B's geometry · 8b: Llama-3.1-8B's geometry twice, as ELLSA. The last two are counted on
the meta device.
"""

from collections.abc import Callable
from dataclasses import replace

from stretto.act.heads.flow import FlowHead
from stretto.agents.network import Network
from stretto.core.config import Config as BaseConfig
from stretto.core.errors import unknown
from stretto.listen.encoders.whisper import WhisperEncoder
from stretto.look.encoders.conv import ConvTokens
from stretto.think.backbone import Backbone
from stretto.think.expert import ExpertConfig
from stretto.think.language import config_of
from stretto.think.layout import TextTable
from stretto.think.layouts.ellsa import Ellsa
from stretto.think.layouts.listener200 import Listener200
from stretto.think.layouts.tick200 import Tick200
from stretto.think.llama import LLAMA31_8B, SMOLLM2_1_7B, SMOLLM2_135M, LlamaShape


def debug() -> Network.Config:
    """Random weights, 16 wide: what every test uses."""
    eye = ConvTokens.Config.tiny()
    layout = Tick200.Config(system=8, typed=8, text=12, speech=5, camera_tokens=eye.tokens)
    return Network.Config(layout=layout, eye=eye, ear=WhisperEncoder.Config.tiny(behind_s=0.2, grain_s=0.1))


def tiny() -> Network.Config:
    """The embedded default: SmolLM2-135M hears and speaks, ten narrow layers look and act."""
    language = config_of(SMOLLM2_135M)
    action = ExpertConfig(depth=10, width=256, heads=3, kv_heads=3, head=64, ffn=768, theta=10_000.0)
    return Network.Config(
        backbone=Backbone.Config(experts={"language": language, "action": action}),
        language="smollm2-135m",
        ear=WhisperEncoder.Config(behind_s=0.2, grain_s=0.04),
        eye=ConvTokens.Config(),
        head=FlowHead.Config(steps=3),
    )


def debug_listener() -> Network.Config:
    """`debug` with a listening expert."""
    layout = Listener200.Config(system=8, typed=8, text=12, speech=5, camera_tokens=ConvTokens.Config.tiny().tokens)
    experts = {
        "language": ExpertConfig(depth=4),
        "action": ExpertConfig(theta=1_000.0),
        "listening": ExpertConfig(width=24, theta=1_000.0),
    }
    return replace(debug(), layout=layout, backbone=Backbone.Config(experts=experts), grain=16)


def tiny_listener() -> Network.Config:
    """`tiny` with a listening expert of ten narrow layers; the language model reads what it hears. The ear's third
    layer tells sounds as well as its fourth, and the expert itself remembers what was over 1.2 s ago (docs/log.md).
    """
    listening = ExpertConfig(depth=10, width=256, heads=3, kv_heads=3, head=64, ffn=544, theta=10_000.0)
    config = tiny()
    experts = {**config.backbone.experts, "listening": listening}
    ear = replace(config.ear, window_s=1.2, layers=3)
    return replace(
        config, layout=Listener200.Config(), backbone=Backbone.Config(experts=experts), ear=ear, grain=192, spelled=True
    )


def _duplex(config: Network.Config, speaking: int, deciding: int) -> Network.Config:
    """A size with a listening expert, and adapters of these ranks for what speaks and decides; it sees one moment."""
    experts = dict(config.backbone.experts)
    experts["speaking"] = experts["language"].adapted("language", speaking)
    experts["deciding"] = experts["action"].adapted("action", deciding)
    assert isinstance(config.layout, Listener200.Config)
    return replace(
        config, layout=replace(config.layout, adapted=True, pictures=1), backbone=Backbone.Config(experts=experts)
    )


def debug_duplex() -> Network.Config:
    """`debug-listener` with adapters."""
    return _duplex(debug_listener(), speaking=2, deciding=2)


def tiny_duplex() -> Network.Config:
    """`tiny-listener` with adapters: the shipped agent."""
    return _duplex(tiny_listener(), speaking=8, deciding=8)


def base() -> Network.Config:
    """SmolLM2-1.7B's geometry with an action expert of a third of its depth and half of its width."""
    action = ExpertConfig(depth=8, width=1024, heads=32, kv_heads=32, head=64, ffn=3072, theta=10_000.0)
    return _large(SMOLLM2_1_7B, action, Tick200.Config(), WhisperEncoder.Config(pretrained=False))


def ellsa8b() -> Network.Config:
    """Two experts of Llama-3.1-8B's geometry on ELLSA's blocks of one second."""
    ear = WhisperEncoder.Config(pretrained=False, tick_s=1.0, embeddings_per_tick=5)
    return _large(LLAMA31_8B, config_of(LLAMA31_8B), Ellsa.Config(), ear)


def _large(
    language: LlamaShape, action: ExpertConfig, layout: BaseConfig, ear: WhisperEncoder.Config
) -> Network.Config:
    return Network.Config(
        layout=layout,
        table=TextTable(size=language.vocab),
        backbone=Backbone.Config(experts={"language": config_of(language), "action": action}),
        tied=language.tied,
        ear=ear,
        eye=ConvTokens.Config(width=action.width),
        head=FlowHead.Config(width=512, context_width=action.width),
    )


SIZES: dict[str, Callable[[], Network.Config]] = {
    "debug": debug,
    "debug-listener": debug_listener,
    "debug-duplex": debug_duplex,
    "tiny": tiny,
    "tiny-listener": tiny_listener,
    "tiny-duplex": tiny_duplex,
    "base": base,
    "8b": ellsa8b,
}


def size(name: str) -> Network.Config:
    """A size by name. Raises StrettoError with the nearest one."""
    if name not in SIZES:
        raise unknown("size", name, SIZES)
    return SIZES[name]()
