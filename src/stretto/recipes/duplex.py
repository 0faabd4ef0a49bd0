"""The duplex agent: when to speak and what to say, when to move and when to stand, on top of what hears and what acts.

    stretto train duplex --set policy=weights/policy_goal --set hear=weights/hear
        1. sessions    composed in the live world (sessions/composer), 480 for training, 60 of development, 10 s a
                       session and worker; scenes with questions in words alone, 600 and 60, 2 s; talk with sound and
                       without a world, 400 and 40, 2 s; out/duplex/data
        2. heard       what the network that hears has heard of them: minutes
        3. training    the adapters of what speaks and what decides, 3 000 sessions
        4. a round     the agent drives 120 sessions, the teacher says what should have been said and done; then
                       training goes on with all, 3 000 sessions more
        5. checkpoint  out/duplex/agent, about 26 MB, for `stretto run --agent duplex --set weights=out/duplex/agent`

    stretto train duplex … --set ship=weights/stretto-tiny   the checkpoint goes there too, without what the folders of
                                               `policy` and `hear` hold
    stretto train duplex … --minutes 60        a piece; the same command goes on
    stretto train duplex --size debug --out out/try          seconds: does it run? (random weights, a perfect ear)

What hears, reads, looks and draws chunks rests, so the new agent hears and acts exactly as the two it is made of.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from stretto.agents.checkpoint import digest, from_pretrained, save_pretrained
from stretto.agents.duplex import SYSTEM
from stretto.agents.network import Network
from stretto.agents.sizes import size
from stretto.core.begun import same_settings
from stretto.core.clock import Stopwatch
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.recipes.policy_goal import eye_of
from stretto.train.acting.phrases import encode, encode_heard
from stretto.train.acting.stage import TRAINED as ACTING
from stretto.train.device import choose
from stretto.train.duplex.dialogues import dialogue
from stretto.train.duplex.episodes import Episodes, heard_truly
from stretto.train.duplex.session import Session
from stretto.train.duplex.shards import Job, make_sessions
from stretto.train.duplex.stage import DECIDING, TRAINED, DuplexStage, behind, heard_by
from stretto.train.hear import LISTENING
from stretto.train.loop import Loop, checked_blend
from stretto.train.schedule import Schedule

ROUND = 100_000
"""Seeds from round to round."""

SILENT = 25.0
"""First score of saying nothing: nearly all asks are silent."""

PerToken = list[list[list[int]]]
"""Numbers of sessions, tick by tick: one for each token that is heard."""


class DuplexTraining(Configurable):
    """The recipe `duplex`."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`policy`, `hear`: directories of the checkpoints that act and that hear; "" of none: random weights, and a
        perfect ear. `begin`: a checkpoint of this recipe that is trained further, "" is none; `blend`: its share in
        what decides when to move and when to stand, in the checkpoint that is written. `train`, `dev`: composed
        sessions; `scenes`, `spoken`, `words`: sessions of pictures and words, of sound without a world and of words
        alone in training, and a tenth of each in development. `rounds` of `driven` sessions each in which the agent
        drives, after equal parts of the steps. `ship`: where the checkpoint goes beside OUT/agent, "" is nowhere;
        what stands in those of `policy` and `hear` is not written again there. `minutes` of one call, 0 is to the
        end."""

        size: str = "tiny-duplex"
        policy: str = ""
        hear: str = ""
        begin: str = ""
        blend: float = 0.0
        ship: str = ""
        train: int = 480
        dev: int = 60
        scenes: int = 600
        spoken: int = 400
        words: int = 2_000
        rounds: int = 1
        driven: int = 120
        minutes: float = 0.0
        workers: int = 2
        threads: int = 2
        seed: int = 0
        episodes: Episodes.Config = field(default_factory=Episodes.Config)
        stage: DuplexStage.Config = field(default_factory=DuplexStage.Config)
        loop: Loop.Config = field(
            default_factory=lambda: Loop.Config(
                steps=1_500,
                lr=1e-3,
                decay=0.0,
                ema=0.995,
                accumulate=4,
                validate=100,
                sample=300,
                schedule=Schedule.Config(warmup=50),
            )
        )

        def __post_init__(self) -> None:
            checked_blend(self.blend, self.begin)
            counts = ("train", "dev", "scenes", "spoken", "words", "rounds", "driven", "minutes")
            if (
                min(getattr(self, name) for name in counts) < 0
                or self.train + self.scenes + self.spoken + self.words < 1
            ):
                told = ", ".join(f"{name}={getattr(self, name)}" for name in counts)
                raise StrettoError(f"Expected {', '.join(counts)} of at least 0, and sessions to train on; got {told}.")

        @classmethod
        def tiny(cls) -> "DuplexTraining.Config":
            """Seconds, but for the simulator."""
            return cls(
                size="debug-duplex",
                train=2,
                dev=1,
                scenes=2,
                spoken=2,
                words=4,
                driven=1,
                workers=1,
                threads=1,
                episodes=Episodes.Config.tiny(),
                stage=DuplexStage.Config.tiny(),
                loop=Loop.Config(steps=4, log=2, validate=2, sample=2, accumulate=2),
            )

    def __init__(self, config: Config) -> None:
        self.config = config

    def run(self, folder: Path, say: Callable[[str], None]) -> None:
        """Go on with what is missing in `folder` until it is done or the minutes are over."""
        c, watch = self.config, Stopwatch()

        def left() -> float | None:
            return max(0.01, c.minutes - watch.seconds() / 60) if c.minutes else None

        agent, shipped = folder / "agent", Path(c.ship)
        if c.ship and shipped.exists() and not agent.is_dir():
            raise StrettoError(
                f"Expected a new directory to ship to, but '{c.ship}' is there. Give another, or delete it."
            )
        if agent.is_dir() and (not c.ship or shipped.is_dir()):
            said = f"done: {agent}"
            say(f"{said}, {c.ship}" if c.ship else said)
            return
        network = assembled(c.size, c.policy, c.hear, c.begin)
        groups: dict[str, list[Session]] = {}
        for number in range(c.rounds + 1):
            for job in self._jobs(folder, number, network):
                files = make_sessions(job, c.workers, say, left())
                if len(files) < job.count:
                    return
                groups[job.folder.name] = [Session.load(path) for path in files]
            if not self.learn(folder, network, groups, number, left(), say):
                return

    def _jobs(self, folder: Path, number: int, network: Network) -> list[Job]:
        """The sessions of a round: the teacher's in round 0, else those that the agent drives."""
        c, ear = self.config, network.config.ear
        job = Job(folder=folder / "data", voices=folder / "speech", split="train", count=c.driven, ear=ear)
        if number:
            driver = str(folder / f"driver-{number}")
            return [replace(job, folder=job.folder / f"round{number}", first=number * ROUND, driver=driver)]
        made = {
            "composed": (c.dev, c.train),
            "scenes": (c.scenes // 10, c.scenes),
            "spoken": (c.spoken // 10, c.spoken),
        }
        return [
            replace(job, folder=job.folder / split if kind == "composed" else job.folder / f"{split}_{kind}",
                    split=split, count=count, kind=kind)
            for kind, counts in made.items()
            for split, count in zip(("dev", "train"), counts, strict=True)
            if count
        ]  # fmt: skip

    def learn(
        self, folder: Path, network: Network, groups: Mapping[str, Sequence[Session]], number: int,
        minutes: float | None, say: Callable[[str], None],
    ) -> bool:  # fmt: skip
        """Train behind round `number` on groups of sessions, `dev` for validation; whether its checkpoint is there."""
        c, device = self.config, choose()
        left = {path: shared for path, shared in self._goals(folder, number).items() if not path.is_dir()}
        if not left:
            return True
        made_of = {
            name: digest(path) if path else ""
            for name, path in (("policy", c.policy), ("hear", c.hear), ("begin", c.begin))
        }
        made_of |= {"size": c.size, "seed": str(c.seed)}
        folder.mkdir(parents=True, exist_ok=True)
        same_settings(folder / "settings.json", made_of, f"'{folder}'")
        system = network.text.encode(SYSTEM, special=True) if network.text else [1]
        parts = []
        for split, words in (("train", c.words), ("dev", c.words // 10)):
            sessions = [dialogue(seed, split, network.config.ear.features) for seed in range(words)]
            heard, ends = self._truly(network, sessions)
            for name, some in groups.items():
                if name.startswith("dev") == (split == "dev"):
                    sessions = [*sessions, *some]
                    more = self._heard(folder / f"heard_{name}.json", network, some, system, say)
                    heard, ends = heard + more[0], ends + more[1]
            drawn, told = replace(c.episodes, seed=c.seed), (lambda text: encode(network, text), system, ends)
            parts.append(Episodes(drawn, network.layout, sessions, heard, *told))
        stage = c.stage.build(network, *parts, device.name)
        at_once = device.parts(c.loop.accumulate, c.threads)
        loop: Loop = replace(c.loop, seed=c.seed, together=at_once).build(stage, folder, device, say)
        if not loop.run(minutes, c.loop.steps * (number + 1) // (c.rounds + 1)):
            return False
        with loop.average(c.blend, DECIDING):
            played = sum(len(some) for name, some in groups.items() if not name.startswith("dev"))
            facts = {"recipe": "duplex", "steps": loop.step, "sessions": played}
            for goal, shared in left.items():
                say(f"done: {save_pretrained(network.cpu(), goal, dtype='int8', facts=facts, shared=shared)}")
        return True

    def _goals(self, folder: Path, number: int) -> dict[Path, list[str]]:
        """The checkpoints behind round `number`, and what each leaves to others."""
        c = self.config
        if number < c.rounds:
            return {folder / f"driver-{number + 1}": []}
        shipped = {Path(c.ship): [path for path in (c.policy, c.hear) if path]} if c.ship else {}
        return {folder / "agent": [], **shipped}

    def _heard(
        self, path: Path, network: Network, sessions: Sequence[Session], system: Sequence[int],
        say: Callable[[str], None],
    ) -> tuple[PerToken, PerToken]:  # fmt: skip
        """What is heard of the sessions and the frames behind it, kept in a file; by a perfect ear where no network
        hears or nothing sounds."""
        if not self.config.hear or not any(session.features.shape[1] for session in sessions):
            return self._truly(network, sessions)
        made_of = {"by": digest(self.config.hear), "seeds": [session.seed for session in sessions]}
        kept = json.loads(path.read_text()) if path.is_file() else {}
        if kept.get("of") == made_of and "behind" in kept:
            return kept["heard"], kept["behind"]
        say(f"hearing {len(sessions)} sessions")
        heard = heard_by(network, sessions, system)
        ends = behind(network, sessions, heard)
        path.write_text(json.dumps({"of": made_of, "heard": heard, "behind": ends}))
        return heard, ends

    @staticmethod
    def _truly(network: Network, sessions: Sequence[Session]) -> tuple[PerToken, PerToken]:
        heard = [heard_truly(session, lambda text: encode_heard(network, text), network.layout) for session in sessions]
        return heard, behind(network, sessions, heard)


def assembled(name: str, policy: str = "", hear: str = "", begin: str = "") -> Network:
    """A network of a size with adapters, made of one that acts, one that hears and one that speaks and decides; without
    the last its adapters change nothing yet."""
    network: Network = replace(size(name), eye=eye_of(name)).build()
    state = network.state_dict()
    belongs: Callable[[str], bool]
    for source, belongs in ((policy, _acts), (hear, _hears), (begin, _decides)):
        taken = from_pretrained(source).state_dict() if source else {}
        _check_fits(name, source, belongs, state, taken)
        with torch.no_grad():
            for key, tensor in taken.items():
                if key in state and belongs(key):
                    state[key].copy_(tensor)
    if not begin:
        with torch.no_grad():
            network.when["deciding"].copy_(network.when["action"])
        network.begin_silent("say", SILENT)
    return network


def _check_fits(
    name: str, source: str, belongs: Callable[[str], bool], state: Mapping[str, Tensor], taken: Mapping[str, Tensor]
) -> None:
    """Raises StrettoError when what is to be taken has other shapes, or an agent to go on from lacks some of it."""
    missing = [key for key in state if belongs is _decides and source and belongs(key) and key not in taken]
    other = [key for key in taken if key in state and belongs(key) and taken[key].shape != state[key].shape]
    for key in (missing + other)[:1]:
        got = "it has none" if key not in taken else f"got {tuple(taken[key].shape)}"
        raise StrettoError(
            f"The checkpoint '{source}' does not fit size '{name}': expected {key} of shape {tuple(state[key].shape)}, "
            f"{got}. Give the checkpoint of another stage or size, or `--set size=…`."
        )


def _hears(key: str) -> bool:
    """Whether a tensor belongs to what hears."""
    return key.startswith(LISTENING)


def _acts(key: str) -> bool:
    """Whether a tensor belongs to what acts."""
    return key.startswith((*ACTING, "place.")) and not _hears(key)


def _decides(key: str) -> bool:
    """Whether a tensor is one that this recipe trains."""
    return key.startswith(TRAINED)
