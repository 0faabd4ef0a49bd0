"""What each clip of a corpus will be, drawn from (seed, split, number): the saying, the speaker, the surroundings.

A plan is made without speaking anything, so clip 7 is the same in a corpus of ten minutes and of ten hours. Babble is
other sentences of the same corpus by other speakers, none with a command word in it; the robot's own voice is Piper,
over people who are not Piper. A few clips have no words at all: noise in which nothing must be heard.

Needs: numpy. Does not know sound (data/clips.py).
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError, unknown
from stretto.core.rng import derive, generator
from stretto.data.clips import Scene
from stretto.data.speech_cache import speech_key
from stretto.data.talk_grammar import draw as fill
from stretto.data.talk_style import sentence, spoken_words
from stretto.data.talk_wide import MIXES, Saying, commands_in, draw_from
from stretto.data.voices import SPEAKERS, SPLITS, somebody, speakers

ROBOT_VOICE = "piper-joe"
ROBOT_SAYS = (
    "[okay|alright|sure], I will put the [bowl|bottle] on the [plate|stove|rack].",
    "the [bowl|plate|wine bottle|cream cheese] is [on|next to] the [plate|stove|cabinet].",
    "[done|I am done|that is done][.| What is next?]",
    "I am [opening|moving to] the [middle|top] drawer.",
    "sorry, there is no [banana|spoon|book|hammer] here.",
    "my name is Stretto, and I can move things on this table.",
    "I do not know that, but I can [open a drawer|turn on the stove].",
)
"""What is heard of the robot itself: no command word, nothing to obey."""

SPEEDS = (0.85, 1.2)
"""What is played so much faster has another pitch and other formants."""

_BLOCK = 16
_NOISES = {"white": 1.0, "pink": 2.0, "hum": 1.0, "music": 2.0, "babble": 2.5, "robot": 1.5}
_SILENT = Saying(text="", intent="silence", split="")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything about a clip before it is spoken. `others` are the sentences of its babble: (text, speaker, settings).

    `seconds` is the length of a clip without words.
    """

    number: int
    saying: Saying
    speaker: str
    settings: dict[str, float]
    scene: Scene
    seed: int
    seconds: float = 0.0
    others: tuple[tuple[str, str, dict[str, float]], ...] = ()

    @property
    def silent(self) -> bool:
        """Whether nobody speaks."""
        return self.saying.intent == "silence"


class Plans(Configurable):
    """The plans of a corpus: `Plans.Config(split="train").build().plan(7)`."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """What is drawn.

        `mix`: shares of intents, one of `talk_wide.MIXES`. `silence`: share of clips without a word; `noisy`: share of
        the others with noise, at `snr_low` to `snr_high` dB; `roomy`: share in a room. `other`: share of what is spoken
        at any of SPEEDS, which makes other throats of few speakers (Ko et al. 2015). `voices`, one as often as another,
        say `voiced` of it beside their own shares. `still`: engines without their own noise, so that the corpus can be
        made again bit for bit.
        """

        split: str = "train"
        seed: int = 0
        mix: str = "robot"
        silence: float = 0.04
        noisy: float = 0.75
        roomy: float = 0.5
        other: float = 0.0
        voices: tuple[str, ...] = (ROBOT_VOICE,)
        voiced: float = 0.0
        snr_low: float = 0.0
        snr_high: float = 30.0
        still: bool = True

        def __post_init__(self) -> None:
            if self.split not in SPLITS:
                raise unknown("split", self.split, SPLITS)
            if self.mix not in MIXES:
                raise unknown("mix", self.mix, MIXES)
            if not all(0 <= share <= 1 for share in (self.silence, self.noisy, self.roomy, self.other, self.voiced)):
                raise StrettoError("Expected silence, noisy, roomy, other and voiced as shares of 0 to 1.")
            if self.voiced and not self.voices:
                raise StrettoError("Expected at least one of the voices that say more, got none.")
            for voice in self.voices if self.voiced else ():
                if voice not in speakers(self.split):
                    raise unknown(f"speaker of {self.split}", voice, speakers(self.split))
            if not -20 <= self.snr_low <= self.snr_high <= 60:
                raise StrettoError(f"Expected -20 <= snr_low <= snr_high <= 60, got {self.snr_low}, {self.snr_high}.")

    def __init__(self, config: Config) -> None:
        self.config = config

    def plan(self, number: int) -> Plan:
        """The plan of clip `number`."""
        source = self._source("clip", number)
        saying, name, settings = self._said(number)
        seed = derive(self.config.seed, "scene", self.config.split, number) % 2**31
        silent = saying.intent == "silence"
        scene = self._scene(source, name, silent)
        luck = self._source("speed", number)
        if luck.random() < self.config.other and not silent:
            scene = dataclasses.replace(scene, speed=round(float(luck.uniform(*SPEEDS)), 3))
        others = self._others(scene.noise, name, number, source)
        if scene.noise == "babble" and not others:
            scene = dataclasses.replace(scene, noise="pink")
        seconds = round(float(source.uniform(1.5, 6.0)), 2) if silent else 0.0
        return Plan(
            number=number, saying=saying, speaker=name, settings=settings, scene=scene, seed=seed, seconds=seconds,
            others=others,
        )  # fmt: skip

    def key(self, text: str, name: str, settings: dict[str, float]) -> str:
        """The name of a sentence in the cache."""
        return speech_key(text, name, self.config.still, **settings)

    def _source(self, *role: str | int) -> np.random.Generator:
        return generator(self.config.seed, "corpus", self.config.split, *role)

    def _said(self, number: int) -> tuple[Saying, str, dict[str, float]]:
        """The saying, the speaker and the engine's settings of clip `number`."""
        source = self._source("said", number)
        if source.random() < self.config.silence:
            return _SILENT, "", {}
        seed = derive(self.config.seed, "saying", number) % 2**31
        saying = draw_from(self.config.mix, seed, self.config.split)
        name, settings = somebody(source, self.config.split)
        if self.config.voiced and source.random() < self.config.voiced:
            name = self.config.voices[int(source.integers(len(self.config.voices)))]
            settings = {what: value for what, value in settings.items() if what != "pitch" or SPEAKERS[name].pitched}
        return saying, name, settings

    def _scene(self, source: np.random.Generator, name: str, silent: bool) -> Scene:
        config = self.config
        wide = 0.03 if silent or SPEAKERS[name].pitched else 0.07
        noise = _noise(source, name) if source.random() < (0.9 if silent else config.noisy) else None
        return Scene(
            speed=1.0 if silent else round(float(np.exp(source.normal(0, wide))), 3),
            lead_s=0.0 if silent else round(float(source.uniform(0.1, 1.0)), 3),
            tail_s=0.0 if silent else round(float(source.uniform(0.3, 1.0)), 3),
            rt60_s=round(float(source.uniform(0.1, 0.7)), 2) if source.random() < config.roomy and not silent else None,
            direct_db=round(float(source.uniform(0, 12)), 1),
            noise=noise,
            snr_db=None
            if noise is None or silent
            else round(float(source.uniform(config.snr_low, config.snr_high)), 1),
            level=round(float(source.uniform(-65, -28) if silent else source.uniform(-36, -17)), 1),
            floor=round(float(source.uniform(-80, -60)), 1),
        )

    def _others(
        self, noise: str | None, name: str, number: int, source: np.random.Generator
    ) -> tuple[tuple[str, str, dict[str, float]], ...]:
        """The sentences heard over each other, or the one of the robot."""
        if noise == "robot":
            text = sentence(fill(ROBOT_SAYS[int(source.integers(len(ROBOT_SAYS)))], {}, source))
            return ((text, ROBOT_VOICE, {}),)
        if noise != "babble":
            return ()
        found: list[tuple[str, str, dict[str, float]]] = []
        wanted = int(source.integers(2, 5))
        alone = len(speakers(self.config.split)) == 1
        for _ in range(8 * wanted):
            saying, other, settings = self._said(int(source.integers(max(number, _BLOCK))))
            if (
                other
                and (other != name or alone)
                and len(saying.text) > 20
                and not commands_in(spoken_words(saying.text))
            ):
                found.append((saying.text, other, settings))
            if len(found) == wanted:
                break
        return tuple(found)


def _noise(source: np.random.Generator, name: str) -> str:
    """A kind of noise; the robot does not talk over somebody who has its voice."""
    kinds = {kind: share for kind, share in _NOISES.items() if kind != "robot" or name != ROBOT_VOICE}
    shares = np.array(list(kinds.values()))
    return list(kinds)[int(source.choice(len(kinds), p=shares / shares.sum()))]


def row_of(plan: Plan, **told: Any) -> dict[str, Any]:
    """The plan as a row of an index, with what else is told about the clip."""
    saying, scene = plan.saying, plan.scene
    return {
        "number": plan.number, "intent": saying.intent, "text": saying.text, "plain": saying.plain, "goal": saying.goal,
        "topic": saying.topic, "speaker": plan.speaker, "settings": plan.settings, "seed": plan.seed,
        **{key: getattr(scene, key) for key in Scene.__dataclass_fields__}, **told,
    }  # fmt: skip
