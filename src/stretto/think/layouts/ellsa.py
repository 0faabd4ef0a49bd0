"""ELLSA's tick: blocks of one second with five speech embeddings, two pictures, text and FAST action tokens.

In every block the agent writes up to eight tokens of text, or silence, and one second of actions as FAST tokens,
which begin anew in each block. Pictures and actions of the last two blocks stay visible, speech and text much longer.
There is no running transcript: what was said is read from the speech embeddings. Every token sees all that is kept.
"""

from dataclasses import dataclass

from stretto.core.config import Config as BaseConfig
from stretto.think.layout import PINNED, TEXT, TIME, Layout, Stream, TextTable, Vocabulary

ALL = ("system", "speech", "image", "say", "action")


class Ellsa(Layout):
    """The preset `ellsa`."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`fast`: tokens of the fitted FAST vocabulary. `actions`: most action tokens a block. Others as `tick200`."""

        tick_s: float = 1.0
        system: int = 32
        text: int = 127
        speech: int = 60
        cameras: int = 2
        camera_tokens: int = 16
        actions: int = 40
        fast: int = 1024

        @classmethod
        def tiny(cls) -> "Ellsa.Config":
            """Retention so short that tests see evictions."""
            return cls(system=4, text=6, speech=2, camera_tokens=2, actions=4, fast=11)

    def __init__(self, config: Config, text: TextTable | None = None) -> None:
        streams = (
            Stream(name="system", expert="language", counter=TEXT, sees=("system",), tokens=config.system, keep=PINNED),
            Stream(name="speech", expert="language", counter=TIME, sees=ALL, tokens=5, keep=config.speech),
            Stream(
                name="image", expert="action", counter=TIME, sees=ALL, tokens=config.cameras * config.camera_tokens,
                keep=1, mutual=True,
            ),
            Stream(
                name="say", expert="language", counter=TEXT, sees=ALL, tokens=8, keep=config.text,
                predicts="text", marker="<say>", nothing="<silence>", close="<|im_end|>",
            ),
            Stream(
                name="action", expert="action", counter=TIME, sees=ALL, tokens=config.actions, keep=1,
                predicts="fast", marker="<boa>", close="<eoa>", fresh=True,
            ),
        )  # fmt: skip
        fast = tuple(f"<fast {number}>" for number in range(config.fast))
        super().__init__(
            name="ellsa",
            tick_s=config.tick_s,
            steps=5,
            streams=streams,
            vocabularies={
                "text": Vocabulary(expert="language", names=("<say>", "<silence>"), table=text or TextTable()),
                "fast": Vocabulary(expert="action", names=("<boa>", "<eoa>", *fast)),
            },
        )
