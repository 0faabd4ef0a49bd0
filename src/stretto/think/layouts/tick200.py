"""The default tick: 200 ms, five a second; ears and text on the language expert, eyes and arm on the action expert.

Two speech embeddings in every tick; up to two `heard` tokens (a running transcript) and up to two `say` tokens; one
`act` query, answered by `<move>` or `<halt>` and applied at the next control period; what is being played; in every
second tick two cameras, proprioception and one action chunk, which a flow head reads from the action expert's last
states; in these ticks one `heard` and one `say` token at most, for a second one takes a pass of its own.
Speech, typed and heard see each other alone: not even what was said, whose states have seen the pictures. What the arm
does (picture, proprioception, chunk) follows from what it was told and what it sees, not from what it says. Say
and act see all.
"""

from dataclasses import dataclass
from typing import Any

from stretto.core.config import Config as BaseConfig
from stretto.think.layout import PINNED, TEXT, TIME, Layout, Stream, TextTable, Vocabulary

HEARING = ("system", "typed", "speech", "heard")
LANGUAGE = (*HEARING, "say")
ARM = ("image", "proprio", "chunk")


class Tick200(Layout):
    """The preset `tick200`."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`text`: older tokens of each text stream that stay visible. `speech`, `pictures`: the same in ticks.
        `system`, `typed`: most tokens of the system prompt and of one typed text. `camera_tokens`: of one camera.
        `every`: ticks from picture to picture. `balanced`: at most one token is heard, and one said, beside pictures.
        """

        tick_s: float = 0.2
        system: int = 32
        typed: int = 32
        text: int = 127
        speech: int = 50
        cameras: int = 2
        camera_tokens: int = 16
        pictures: int = 3
        every: int = 2
        balanced: bool = True

        @classmethod
        def tiny(cls) -> "Tick200.Config":
            """Retention so short that tests see evictions."""
            return cls(system=4, typed=4, text=6, speech=3, camera_tokens=2, pictures=1)

    def __init__(self, config: Config, text: TextTable | None = None) -> None:
        once = config.every if config.balanced else 0

        def slot(name: str, sees: tuple[str, ...], marker: str, nothing: str) -> Stream:
            return Stream(
                name=name, expert="language", counter=TEXT, sees=sees, tokens=2, keep=config.text,
                predicts="text", marker=marker, nothing=nothing, close="<|im_end|>", once=once,
            )  # fmt: skip

        def seen(name: str, tokens: int, sees: tuple[str, ...] = HEARING + ARM, **rest: Any) -> Stream:
            return Stream(name=name, expert="action", counter=TIME, sees=sees, tokens=tokens, **rest)

        pictures: dict[str, Any] = {"every": config.every, "keep": config.pictures}
        streams = (
            Stream(name="system", expert="language", counter=TEXT, sees=("system",), tokens=config.system, keep=PINNED),
            Stream(
                name="typed", expert="language", counter=TEXT, sees=HEARING, tokens=config.typed, keep=config.typed - 1
            ),
            Stream(name="speech", expert="language", counter=TIME, sees=HEARING, tokens=2, keep=config.speech),
            slot("heard", HEARING, "<heard>", "<blank>"),
            seen("playback", 1, (*LANGUAGE, "playback")),
            seen("image", config.cameras * config.camera_tokens, mutual=True, **pictures),
            seen("proprio", 1, **pictures),
            seen("chunk", 1, every=config.every, head="flow"),
            seen("act", 1, (*LANGUAGE, *ARM, "playback", "act"), predicts="act", marker="<act>"),
            slot("say", (*LANGUAGE, "playback", "image", "proprio", "act"), "<say>", "<silence>"),
        )
        super().__init__(
            name="tick200",
            tick_s=config.tick_s,
            steps=2,
            streams=streams,
            vocabularies={
                "text": Vocabulary(
                    expert="language",
                    names=("<heard>", "<blank>", "<say>", "<silence>"),
                    table=text or TextTable(),
                ),
                "act": Vocabulary(expert="action", names=("<act>", "<halt>", "<move>")),
            },
        )
