"""The default tick with a listening expert: a narrow expert reads speech, and the language model reads its words.

As `tick200`, but speech and the heard slot stand on the third expert, `listening`. They see each other alone and are
seen by nobody else. What is heard in a tick is fed to the language expert in the next one as plain text (the stream
`read`), in the turns that a chat model was trained on: `<|im_start|>user`, a new line, the words, `<|im_end|>`, a new
line. So the language model keeps its weights and its exact keys and values, whoever reads them was trained on the same,
and three of four rows a tick leave its thirty layers. Heard tokens count time here, because on the counter of text they
would move what is read apart.

With `adapted`, what is said and what is decided stand on experts of their own, `speaking` and `deciding`: the language
and the action expert with adapters (`ExpertConfig.of`). Then both can learn when and what, and what is read, seen and
drawn as a chunk stays to the bit what it was.

Only the act slot sees speech and heard tokens themselves: a stop need not wait until it is read. And what the arm does
(picture, proprioception, chunk) follows from what it was told and what it sees, not from what it says.
"""

from dataclasses import dataclass
from typing import Any

from stretto.core.config import Config as BaseConfig
from stretto.think.layout import PINNED, TEXT, TIME, Layout, Stream, TextTable, Vocabulary

READING = ("system", "typed", "read")
LANGUAGE = (*READING, "say")
HEARING = ("speech", "heard")
ARM = ("image", "proprio", "chunk")
LEAD = ("<|im_start|>", "user", "<line>")
TAIL = ("<|im_end|>", "<line>")


class Listener200(Layout):
    """The preset `listener200`."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """As `tick200`; `speech`: how many ticks speech and heard tokens stay visible. `adapted`: see above."""

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
        adapted: bool = False

        @classmethod
        def tiny(cls) -> "Listener200.Config":
            """Retention so short that tests see evictions."""
            return cls(system=4, typed=4, text=6, speech=3, camera_tokens=2, pictures=1)

    def __init__(self, config: Config, text: TextTable | None = None) -> None:
        def seen(name: str, tokens: int, sees: tuple[str, ...] = (*READING, *ARM), **rest: Any) -> Stream:
            return Stream(name=name, counter=TIME, tokens=tokens, sees=sees, **{"expert": "action", **rest})

        def fed(name: str, tokens: int, sees: tuple[str, ...], keep: int, **rest: Any) -> Stream:
            return Stream(name=name, expert="language", counter=TEXT, sees=sees, tokens=tokens, keep=keep, **rest)

        pictures: dict[str, Any] = {"every": config.every, "keep": config.pictures}
        speaking, acting = ("speaking", "deciding") if config.adapted else ("language", "action")
        spoken = "say" if config.adapted else "text"
        deciding = (*LANGUAGE, *HEARING, *ARM, "playback", "act")
        hearing: dict[str, Any] = {
            "expert": "listening",
            "counter": TIME,
            "sees": HEARING,
            "tokens": 2,
            "keep": config.speech,
        }
        once = config.every if config.balanced else 0
        streams = (
            fed("system", config.system, ("system",), PINNED),
            fed("typed", config.typed, READING, config.typed - 1),
            fed("read", 2 + len(LEAD) + len(TAIL), READING, config.text, repeats="heard", lead=LEAD, tail=TAIL),
            seen("playback", 1, (*LANGUAGE, "playback")),
            seen("image", config.cameras * config.camera_tokens, mutual=True, **pictures),
            seen("proprio", 1, **pictures),
            seen("chunk", 1, every=config.every, head="flow"),
            Stream(name="speech", **hearing),
            Stream(
                name="heard", predicts="heard", marker="<heard>", nothing="<blank>", close="<|im_end|>", once=once,
                **hearing,
            ),
            seen("act", 1, deciding, expert=acting, predicts="act", marker="<act>"),
            Stream(
                name="say", expert=speaking, counter=TEXT, sees=(*LANGUAGE, "playback", "image", "proprio", "act"),
                tokens=2, keep=config.text, predicts=spoken, marker="<say>", nothing="<silence>", close="<|im_end|>",
                once=once,
            ),
        )  # fmt: skip
        table = text or TextTable()
        own, borrowed = ("<say>", "<silence>"), {"table": table, "borrows": "text"}
        vocabularies = {
            "text": Vocabulary(expert="language", names=() if config.adapted else own, table=table),
            "heard": Vocabulary(expert="listening", names=("<heard>", "<blank>"), **borrowed),  # type: ignore[arg-type]
            "act": Vocabulary(expert=acting, names=("<act>", "<halt>", "<move>")),
        }
        if config.adapted:
            vocabularies["say"] = Vocabulary(expert=speaking, names=own, **borrowed)  # type: ignore[arg-type]
        super().__init__(
            name="listener200",
            tick_s=config.tick_s,
            steps=2,
            streams=streams,
            vocabularies=vocabularies,
        )
