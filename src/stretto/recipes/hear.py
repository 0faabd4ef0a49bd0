"""Train hearing: speech, talk of people in rooms and noise, becomes words inside the stream, while they are spoken.

    stretto train hear --out out/hear                                  everything, from nothing, in this order:
      1. speech      corpora of sentences (training speakers and wordings), 32 hours: 150 minutes on two cores
      2. features    what the ear makes of them, in shards of a byte a number; the voice of the robot once more without
                     noise: 115 min on two cores, 3.8 GB
      3. training    the listening expert, 13 000 steps: 4 hours on two cores
      4. checkpoint  out/hear/listener/weights, for `stretto run --agent duplex --set weights=…` and `stretto listen`

    stretto train hear --out out/hear --minutes 60                     a piece of an hour of training; the same command
                                                                       again goes on, until it says finished
    stretto train hear --out out/hear --set loop.steps=1               a checkpoint of the training as it stands (take
                                                                       it away before the last one is written)
    stretto train hear --out out/more --set begin=weights/hear --set seed=1     further, on other speech
    stretto train hear --out out/hear --set way=language               the language expert itself reads, with adapters:
                                                                       nine times as long a step
    stretto train hear --out out/hear --set bits=4 --set shards=out/hear/small     half the size, to carry elsewhere
    stretto train hear --size debug --out out/try                      seconds: does it run?

Where there is neither sound nor a speech engine nor a language model (a bare machine with a GPU), a folder with
`kit.safetensors` and shards is enough for the listening expert, but for the sessions that nobody spoke:

    stretto train hear --out DIR --minutes 9 --set batches.size=64 --set loop.lr=0.002 --set batches.unspoken=0

and the same command without `--minutes`, on the first machine, writes the checkpoint from what came back
(DIR/listener/state.safetensors). Hours are reckoned from what one step, one tick and one clip cost (docs/log.md).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from stretto.agents.checkpoint import from_pretrained, save_pretrained
from stretto.agents.duplex import SYSTEM
from stretto.agents.network import Network
from stretto.agents.sizes import size
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError, unknown
from stretto.data.clip_plan import Plans
from stretto.data.corpus import Corpus, make
from stretto.data.hearing import Sessions as Packed
from stretto.data.voices import SPEAKERS, speakers
from stretto.listen.encoders.settled import Settled
from stretto.think.text import load_text
from stretto.train.device import choose
from stretto.train.hear import SOUNDS, Hear, is_trained
from stretto.train.hear_batches import Batches, Sessions
from stretto.train.hear_features import Job, make_shards
from stretto.train.hear_kit import Kit, alone, kit_of, load_kit, put, save_kit
from stretto.train.loop import Loop, checked_blend
from stretto.train.schedule import Schedule
from stretto.train.unspoken import Unspoken

Say = Callable[[str], None]
WAYS = {"listener": "-listener", "language": ""}
"""The two ways of reading, and the size of the agent that each belongs to."""


EVEN = ("strings", "changed")
"""Corpora in which rare words come nearly as often as common ones."""

VISITED = (*EVEN, "natural")
"""Corpora that an epoch visits `often` times."""

NATURAL = tuple(name for name in speakers("train") if SPEAKERS[name].voice == "kokoro")
"""Speakers who sound like people, but take their time."""

SPOKEN: dict[str, dict[str, Any]] = {
    "robot": {"other": 0.4},
    "english": {"other": 0.4},
    "spoken": {"voiced": 0.6, "noisy": 0.5, "other": 0.4},
    **{name: {"voiced": 1.0, "silence": 0.0, "noisy": 0.0, "roomy": 0.0} for name in EVEN},
    **{name: {"voiced": 0.9, "noisy": 0.25, "roomy": 0.25} for name in ("home", "passages")},
    "natural": {"voices": NATURAL, "voiced": 1.0, "silence": 0.0, "noisy": 0.2, "roomy": 0.3, "other": 0.3},
}
"""How a corpus of training is spoken: the voice of the robot says more of some, in less noise or none; the others are
played at other speeds now and then."""


SHARDS = {
    "train": ("robot", "english"),
    "spoken": ("spoken",),
    "clear": ("robot", "english", "spoken"),
    "strings": ("strings",),
    "changed": ("changed",),
    "home": ("home",),
    "passages": ("passages",),
    "natural": ("natural",),
    "dev": ("robot", "english"),
}
"""Folders of shards, and the corpora that each is made of."""


MORE = ("english", "spoken", "strings", "changed", "home", "passages", "natural")
"""The corpora beside talk to a robot, whose hours are settings of their names."""


class HearTraining(Configurable):
    """The recipe `hear`."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`way`: listener or language. `hours`, `english`, `spoken`, `strings`, `changed`, `home`, `passages`,
        `natural`: of the corpora of talk to a robot, of general English, of remarks in natural English, of words in no
        order, the rarest as often as the commonest, of all these sentences with other words in many places (both by the
        voice of the robot alone), of talk around a house, of clauses of whole texts, and of all kinds by Kokoro's
        voices; `often`: visits of an epoch to those of rare words and of Kokoro's voices; `dev_hours`: of each
        development corpus. `clear`: a speaker of whom all that is in them is heard once more without room and noise, ""
        is nobody. `talk`: their folder, "" is OUT/talk. `shards`: theirs, "" is OUT/shards. `bits`: a number of a
        shard. `delay`: ticks from the tick of a word's end to its label. `lora`: rank of the adapters, for the way
        `language`. `threads`: parts of a batch that are computed at once, on a CPU. `minutes`: of training in one call,
        0 is to the end. `biases`: added to the score of hearing nothing; the best on development sessions goes into the
        checkpoint. `begin`: a checkpoint whose hearing is trained further, "" is none; `blend`: its share in the
        weights that are written at the end (two halves were better than either: docs/log.md).
        """

        way: str = "listener"
        size: str = "tiny"
        hours: float = 4.0
        english: float = 6.0
        spoken: float = 6.0
        strings: float = 1.5
        changed: float = 6.0
        home: float = 6.0
        passages: float = 6.0
        natural: float = 2.0
        often: int = 4
        clear: str = "piper-joe"
        dev_hours: float = 0.25
        begin: str = ""
        blend: float = 0.0
        talk: str = ""
        shards: str = ""
        bits: int = 8
        delay: int = 1
        lora: int = 16
        minutes: float = 0.0
        workers: int = 2
        threads: int = 2
        biases: tuple[float, ...] = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
        seed: int = 0
        sessions: Packed.Config = field(default_factory=Packed.Config)
        batches: Batches.Config = field(default_factory=Batches.Config)
        unspoken: Unspoken.Config = field(default_factory=Unspoken.Config)
        stage: Hear.Config = field(default_factory=Hear.Config)
        loop: Loop.Config = field(
            default_factory=lambda: Loop.Config(
                steps=13_000,
                lr=1e-3,
                ema=0.999,
                schedule=Schedule.Config(warmup=300, decay=0.3),
                validate=1_000,
                sample=1_000,
            )
        )

        def __post_init__(self) -> None:
            if self.way not in WAYS:
                raise unknown("way of reading", self.way, WAYS)
            if min(self.hours, self.dev_hours) <= 0 or min(getattr(self, name) for name in MORE) < 0:
                raise StrettoError(f"Expected hours and dev_hours above 0, {', '.join(MORE)} of at least 0.")
            if self.minutes < 0 or self.often < 1:
                raise StrettoError(
                    f"Expected minutes of at least 0 and often of at least 1, got {self.minutes} and {self.often}."
                )
            if self.clear and self.clear not in speakers("train"):
                raise unknown("speaker of training", self.clear, speakers("train"))
            checked_blend(self.blend, self.begin)
            if self.threads < 1:
                raise StrettoError(f"Expected threads of at least 1, got {self.threads}.")

        @classmethod
        def tiny(cls) -> "HearTraining.Config":
            """Seconds: random weights, a minute of speech."""
            return cls(
                size="debug",
                hours=0.01,
                english=0.0,
                spoken=0.0,
                strings=0.0,
                changed=0.0,
                home=0.0,
                passages=0.0,
                natural=0.0,
                clear="",
                dev_hours=0.004,
                lora=2,
                workers=1,
                threads=1,
                biases=(0.0, 1.0),
                sessions=Packed.Config.tiny(),
                batches=Batches.Config(size=2),
                stage=Hear.Config.tiny(),
                loop=Loop.Config(steps=6, log=2, validate=3, sample=3, lr=1e-3),
            )

    def __init__(self, config: Config) -> None:
        self.config = config

    def run(self, out: Path, say: Say = lambda text: None, until: int | None = None) -> Path:
        """Everything that is missing; returns the checkpoint, or the folder while training is not finished."""
        device = choose()
        parts = device.parts(self.config.batches.size, self.config.threads)
        out.mkdir(parents=True, exist_ok=True)
        whole = self.network_config()
        kit = self.kit(out, whole)
        network = self.network(whole, kit)
        train, held = self.sessions(out, whole, say)
        folder = out / self.config.way
        stage = self.stage(network, kit, train, held, parts)
        say(f"{device.name}: {device.why}; {len(train)} sessions of {train.ticks} ticks, {len(held)} held out")
        at_once = replace(self.config.loop, seed=self.config.seed, accumulate=parts, together=parts)
        loop: Loop = at_once.build(stage, folder, device, say)
        finished = loop.run(minutes=self.config.minutes or None, until=until)
        if not finished or loop.step < self.config.loop.steps:
            say(f"step {loop.step} of {self.config.loop.steps}; the same command goes on")
            return folder
        with loop.average(self.config.blend):
            bias, told = stage.best_bias(self.config.biases)
            ours = {name: weight.detach().cpu().clone() for name, weight in loop.weights.items()}
        say(f"score of hearing nothing {bias:+}: errors a word by what is added: {told}")
        trained = {name: weight for name, weight in ours.items() if not name.startswith(SOUNDS)}
        trained[f"tables.{stage.vocabulary}.bias"][stage.batches.nothing - stage.size] += bias
        return self.checkpoint(folder, whole, trained, say)

    def network_config(self) -> Network.Config:
        """The whole network that is to hear; both ways have the same ear and adapter."""
        c = self.config
        heard = size(c.size + WAYS["listener"])
        config = size(c.size + WAYS[c.way])
        return replace(config, ear=heard.ear, grain=heard.grain, lora=c.lora if c.way == "language" else 0, seed=c.seed)

    def kit(self, out: Path, whole: Network.Config) -> Kit | None:
        """What hearing needs of the language model, from its package, or from the folder where there is none."""
        path = out / "kit.safetensors"
        if not whole.language:
            return None
        if not path.exists():
            save_kit(kit_of(whole.language), path)
        return load_kit(path)

    def sessions(self, out: Path, whole: Network.Config, say: Say) -> tuple[Sessions, Sessions]:
        """Shards of training and development, made where they are missing."""
        c = self.config
        names = [name for name in SHARDS if name != "dev" and getattr(c, name, True)]
        files = {name: self._shards(out, whole, name, say) for name in names}
        visits = [file for name in names for file in files[name] * (c.often if name in VISITED else 1)]
        return Sessions(visits), Sessions(self._shards(out, whole, "dev", say))

    def _shards(self, out: Path, whole: Network.Config, name: str, say: Say) -> list[Path]:
        """Those of a folder of SHARDS."""
        folder = Path(self.config.shards or out / "shards") / name
        files = _complete(folder)
        if not files:
            split = "dev" if name == "dev" else "train"
            corpora = self.corpora(out, split, SHARDS[name], say)
            passes = self.config.sessions.passes if split == "train" else 1
            clear = self.config.clear if name == "clear" else ""
            packed = replace(self.config.sessions, passes=passes, clear=clear, seed=self.config.seed)
            job = self.job(folder, corpora, packed, whole)
            files = make_shards(job, packed.build(corpora), self.config.workers, _after(name, say))
        return files

    def corpora(self, out: Path, split: str, mixes: Sequence[str], say: Say) -> list[Corpus]:
        """Talk to a robot, general English, remarks, of one split; made where they are missing."""
        c, root = self.config, Path(self.config.talk or out / "talk")
        hours = {name: getattr(c, name) for name in MORE} | {"robot": c.hours}
        made = []
        for mix in mixes:
            if hours[mix]:
                name = split if mix == "robot" else mix if split == "train" else f"{split}_{mix}"
                told = SPOKEN[mix] if split == "train" else {}
                plans = Plans.Config(split=split, seed=c.seed, mix=mix, **told)
                length = hours[mix] if split == "train" else c.dev_hours
                made.append(make(plans, root, length, name, c.workers, _after(name, say)))
        return made

    def job(self, folder: Path, corpora: list[Corpus], packed: Packed.Config, whole: Network.Config) -> Job:
        """How shards are made."""
        table = whole.layout.build(whole.table)
        return Job(
            corpora=tuple((str(corpus.root), corpus.name) for corpus in corpora),
            sessions=packed,
            ear=whole.ear,
            language=whole.language,
            size=table.vocabularies["text"].table.size,
            close=kit_close(whole),
            delay=self.config.delay,
            bits=self.config.bits,
            folder=folder,
        )

    def network(self, whole: Network.Config, kit: Kit | None) -> Network:
        """What is trained, from the checkpoint to begin with. Raises StrettoError before anything dear is made."""
        network = alone(whole, kit) if self.config.way == "listener" else whole.build()
        if self.config.begin:
            begin_with(network, self.config.begin)
        return network

    def stage(self, network: Network, kit: Kit | None, train: Sessions, held: Sessions, parts: int = 1) -> Hear:
        """The stage of a network; a step is that many batches."""
        whole = self.network_config()
        system = network.text.encode(SYSTEM, special=True) if network.text else [1]
        drawn = replace(self.config.batches, seed=self.config.seed, size=self.config.batches.size // parts, parts=parts)
        frames = Settled.of(whole.ear) if whole.grain else None
        unspoken = None
        if frames and whole.language and drawn.unspoken:
            text, close = load_text(whole.language), kit_close(whole)
            unspoken = self.config.unspoken.build(text, frames, train.ticks, close, whole.ear.tick_s, self.config.delay)
        batches = drawn.build(network.layout, train, system, frames, unspoken)
        config = replace(self.config.stage, apart=self.config.stage.apart or bool(self.config.begin))
        return config.build(network, batches, held, choose().name, kit.words if kit else None)

    def checkpoint(self, folder: Path, whole: Network.Config, trained: dict[str, Tensor], say: Say) -> Path:
        """The whole network with the averaged weights, as a checkpoint; where the language model is missing, a word."""
        path = folder / "weights"
        if path.exists():
            say(f"finished; {path} is there already")
            return path
        try:
            network = put(trained, whole.build())
        except StrettoError as error:
            say(f"finished, but the whole network cannot be built here ({error}) Run it again where it can.")
            return folder
        facts = {"recipe": "hear", "way": self.config.way, "steps": self.config.loop.steps}
        say(f"finished; wrote {save_pretrained(network, path, dtype='int8', facts=facts)}")
        return path


def begin_with(network: Network, name: str) -> None:
    """Fill what is trained from a checkpoint. Raises StrettoError when that one reads in another way."""
    found = from_pretrained(name)
    if found.layout.name != network.layout.name:
        raise StrettoError(
            f"Training cannot begin with '{name}': its layout is {found.layout.name}, expected {network.layout.name}. "
            f"Set `way` to the one in which it reads ({' or '.join(WAYS)})."
        )
    put({key: weight for key, weight in found.state_dict().items() if is_trained(network, key)}, network)


def _after(name: str, say: Say) -> Say:
    """Says what is told with a name before it."""
    return lambda text: say(f"{name}: {text}")


def kit_close(whole: Network.Config) -> int:
    """The number of the token that ends a turn."""
    if whole.language:
        from stretto.think.text import load_text

        return load_text(whole.language).id("<|im_end|>")
    layout = whole.layout.build(whole.table)
    return int(layout.token("heard", "close"))


def _complete(folder: Path) -> list[Path]:
    """All shards of a folder, none when some are missing."""
    told = folder / "shards.json"
    if not told.is_file():
        return []
    from stretto.train.hear_features import SESSIONS

    count = -(-int(json.loads(told.read_text())["sessions"]) // SESSIONS)
    files = [folder / f"{number:04}.npz" for number in range(count)]
    return files if all(file.exists() for file in files) else []
