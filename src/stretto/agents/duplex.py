"""The duplex agent: one model that listens, looks, speaks and acts at the same time. Observation in, output out.

Nothing here decides when to speak, stop or move: every tick the slots of the layout are asked in one pass, what they
say is fed back, and a slot that said something may be asked once more. Heard and said tokens become text, text becomes
speech phrase by phrase, the act slot's `<move>` or `<halt>` goes to the executor as it is, and every second tick the
flow head draws a chunk that continues the actions already committed.

Untrained (`Config.weights` of "") it babbles SmolLM2's own text and moves at random.

The rings in a state are written in place: `fork` a state before stepping it twice.
"""

import gc
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stretto.agents.checkpoint import find_weights, from_pretrained
from stretto.agents.evidence import Evidence, Since
from stretto.agents.expected import Expected
from stretto.agents.network import Network
from stretto.agents.sizes import size
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.core.protocols import Context, Job
from stretto.core.rng import derive
from stretto.core.signals import Act, ActionChunk, Image, Observation, Output, Speech
from stretto.data.voices import speaker
from stretto.listen.encoders.whisper import EarState
from stretto.speak.phrases import Pending, Phrases
from stretto.think.cursor import Cursor
from stretto.think.memory import Rings
from stretto.think.tokens import gather

ACTS = {"<move>": Act.MOVE, "<halt>": Act.HALT}
WAITING = 2
"""Phrases still to be synthesised with which no more is said."""
SHIPPED = "weights/stretto-tiny"
"""Where the trained agent lies."""
SYSTEM = "<|im_start|>system\nYou are a robot arm that listens, looks, speaks and acts.<|im_end|>\n"


def _network(weights: str, name: str) -> Network:
    """A checkpoint's, or an untrained one of a size."""
    if not weights:
        return size(name).build()
    return from_pretrained(find_weights(weights, "duplex") if weights == SHIPPED else weights)


@dataclass(frozen=True, kw_only=True)
class State:
    """A session: place in the layout, past, ears, last sounds and word, the state in which that was read, pictures last
    seen, typed tokens that wait, voice, last chunk.
    """

    context: Context
    cursor: Cursor
    rings: Rings
    ear: EarState
    sounds: Tensor | None = None
    since: Since = field(default_factory=Since)
    read: Tensor | None = None
    pictures: dict[str, Image] = field(default_factory=dict)
    typed: tuple[int, ...] = ()
    bytes_of: dict[str, bytes] = field(default_factory=dict)
    phrases: Pending = field(default_factory=Pending)
    speaking: tuple[Job, ...] = ()
    chunk: ActionChunk | None = None


class Duplex(Configurable):
    """The learned agent: the shipped one, another checkpoint's, or untrained at a size of agents/sizes.py.

    A `network` that is handed in is used as it is; a replay of the flight recorder cannot know it.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`weights`: directory or hub id of a checkpoint (agents/checkpoint.py), which brings its own `size`; "" is
        untrained.
        `live`: 4- or 8-bit weights (CPU). `committed`: actions of the last chunk that a new one continues.
        `temperature`: of the text slots, 0 is greedy. `noise`: scale of what chunks are drawn from, 0 is the middle of
        what was learned. `rate`: of the chunks, in Hz. `standing`: control steps for which an arm that stands is taken
        to stand on, because what moves it comes late. `ahead_s`: with so much speech still to be played, or with
        `WAITING` phrases still to be synthesised, no more is said. `heard`: a control; these words take the place of
        those that it hears, "" of none.
        """

        weights: str = SHIPPED
        size: str = "tiny"
        voice: str = "piper-joe"
        live: bool = True
        committed: int = 4
        temperature: float = 0.0
        noise: float = 0.0
        rate: float = 20.0
        standing: int = 3
        ahead_s: float = 10.0
        heard: str | None = None

    privileged = False
    cameras_hz = 2.5
    camera_turns = (1, 2)
    part = "duplex_step"
    own_core = True
    mute: tuple[str, ...] = ()
    """Streams that are left out of every pass: nobody else's tokens see what they would have been."""

    def __init__(self, config: Config, network: Network | None = None) -> None:
        self.config = config
        torch.set_num_threads(1)
        self.network = network or _network(config.weights, config.size)
        self.layout = self.network.layout
        if config.live:
            self.network.live()
            gc.freeze()  # a collection in a tick would walk through every object of the libraries
        self.network.requires_grad_(False)
        self.evidence = Evidence.of(self.network) if not config.temperature else None
        self.expected = Expected.of(self.network) if self.evidence else None
        self.phrases = Phrases.Config().build()
        self.voice = speaker(config.voice, still=True) if self.network.text and "say" not in self.mute else None

    @torch.inference_mode()
    def start(self, context: Context) -> State:
        """A fresh session that has read the system prompt. Raises StrettoError when its tick is not the layout's."""
        if abs(context.tick_s - self.layout.tick_s) > 1e-9:
            raise StrettoError(
                f"Layout '{self.layout.name}' has ticks of {self.layout.tick_s} s, the session of {context.tick_s} s. "
                f"Set the session's tick_s to the layout's."
            )
        cursor, rings = Cursor.start(self.layout), self.network.backbone.rings()
        text = self.network.text
        if text is not None:
            cursor, rows = cursor.begin(text.encode(SYSTEM, special=True))
            tokens = gather(self.layout, [rows])
            self.network.backbone(self.network.embed(tokens, {}), tokens, rings)
            rings.keep([[True] * len(rows)])
        return State(context=context, cursor=cursor, rings=rings, ear=self.network.ear.start())

    @torch.inference_mode()
    def step(self, obs: Observation, state: State) -> tuple[Output, State]:
        """One tick: perceive, ask the slots until none has more to say, draw a chunk when one is due."""
        state, content, given = self._perceive(obs, state)
        cursor, rows = state.cursor.tick(content)
        since, read = state.since, state.read
        said: dict[str, list[int]] = {slot.name: [] for slot in self.layout.slots}
        chunk = state.chunk
        while rows:
            asked = [self.layout.streams[row.stream].name not in self.mute for row in rows]
            tokens = gather(self.layout, [tuple(compress(rows, asked))])
            shown = self.network.shown(state.sounds, [cursor.now], [since.ended])
            inputs = self.network.embed(tokens, given | shown)
            states = self.network.backbone(inputs, tokens, state.rings)
            scores = self.network.answers(states, tokens)
            if self.expected:
                (read,) = self.expected.read(states, tokens, [read])
            answers = {
                name: self._pick(some[0, 0], state.context.seed, cursor.passes, name) for name, some in scores.items()
            }
            if "heard" in answers and self.evidence and state.sounds is not None:
                some, opinion = scores["heard"][0, 0], self.expected.after(read, cursor) if self.expected else None
                answers["heard"], since = self.evidence.choose(some, state.sounds[0], cursor.now, since, opinion)
            self._replace_heard(answers, cursor)
            if "say" in answers and (obs.playback.queued_s > self.config.ahead_s or len(state.speaking) >= WAITING):
                answers["say"] = self.layout.token("say", "nothing")
            if given and "chunk" in content:
                chunk = self._draw(self.network.context(states, tokens), obs, state)
            for name, token in answers.items():
                said[name].append(token)
            silent = {name: self.layout.token(name, "nothing") for name in self.mute if self.layout[name].is_slot}
            cursor, stored, rows = cursor.settle(answers | silent)
            state.rings.keep([list(compress(stored, asked))])
            given = {}
        state = replace(state, cursor=cursor, since=since, read=read)
        output, state = self._express(obs, said, chunk if "chunk" in content else None, state)
        return output, replace(state, chunk=None if output.act is Act.HALT else chunk)

    def fork(self, state: State) -> State:
        """A copy that may be stepped without changing `state`."""
        return replace(state, rings=state.rings.fork())

    def _perceive(self, obs: Observation, state: State) -> tuple[State, dict[str, Any], dict[str, Tensor]]:
        """Ears, eyes, the robot's own state, typed text: what is there in this tick, and its embeddings."""
        net, tick = self.network, state.cursor.now + 1
        given: dict[str, Tensor] = {}
        ear, sounds = state.ear, state.sounds
        if obs.sound is not None and "speech" not in self.mute:
            features, ear = net.ear.step(obs.sound.samples, ear, obs.sound.rate)
            given["speech"], sounds = net.adapter.step(features[None], sounds)
        playing = [float(obs.playback.speaking), obs.playback.queued_s, len(obs.playback.heard.split()) / 10]
        if "playback" in self.layout.index:
            given["playback"] = net.playback(torch.tensor([[playing]]))
        pictures = state.pictures | {image.camera: image for image in obs.images}
        if "proprio" in self.layout.index and tick % self.layout["proprio"].every == 0:
            if len(obs.proprio) != net.config.proprio:
                raise StrettoError(
                    f"Expected {net.config.proprio} numbers of proprioception, got {len(obs.proprio)} in tick "
                    f"{obs.tick}. This network was made for another robot: set Network.Config.proprio."
                )
            given["proprio"] = net.proprio(torch.from_numpy(obs.proprio)[None, None])
        if pictures and tick % self.layout["image"].every == 0:
            seen = np.stack([pictures[name].pixels for name in sorted(pictures)])
            given["image"] = net.eye(torch.from_numpy(seen).permute(0, 3, 1, 2)).flatten(0, 1)[None]
        if obs.text and "typed" not in self.layout.index:
            raise StrettoError(f"Layout '{self.layout.name}' has no stream for typed text; speak to it.")
        typed = state.typed + tuple(net.text.encode(obs.text) if obs.text and net.text else ())
        content: dict[str, Any] = {name: part.shape[1] for name, part in given.items()}
        if typed:
            content["typed"] = list(typed[: self.layout["typed"].tokens])
        if "chunk" in self.layout.index and tick % self.layout["chunk"].every == 0:
            content["chunk"] = 1
        typed = typed[len(content.get("typed", ())) :]
        return replace(state, ear=ear, sounds=sounds, pictures=pictures, typed=typed), content, given

    def _pick(self, scores: Tensor, *seed: int | str) -> int:
        """The token with the highest score, or one drawn at the configured temperature."""
        if not self.config.temperature:
            return int(scores.argmax())
        generator = torch.Generator().manual_seed(derive(int(seed[0]), *seed[1:]))
        return int(torch.multinomial(torch.softmax(scores / self.config.temperature, -1), 1, generator=generator))

    def with_heard(self, words: str) -> "Duplex":
        """The same agent with `words` in place of what it hears: a control."""
        return Duplex(replace(self.config, heard=words, live=False), self.network)

    def _replace_heard(self, answers: dict[str, int], cursor: Cursor) -> None:
        """Under the control: the next of the given words whenever the model hears one, then nothing."""
        nothing = self.layout.token("heard", "nothing") if "heard" in answers else None
        if self.config.heard is None or nothing is None or answers["heard"] == nothing:
            return
        words = self.network.text.heard(self.config.heard) if self.network.text else []
        place = cursor.counts[self.layout.index["heard"]]
        answers["heard"] = words[place] if place < len(words) else nothing

    def _draw(self, context: tuple[Tensor, Tensor], obs: Observation, state: State) -> ActionChunk:
        """A chunk that begins now and goes on from what is committed of the last one."""
        head, rate = self.network.head, self.config.rate
        prefix = np.zeros((head.config.horizon, head.config.actions), np.float32)
        if state.chunk is None:
            count = min(self.config.standing, head.config.longest_prefix)
            prefix[:, 6:] = obs.action[6:]
        else:
            first = max(0, round((obs.t - state.chunk.start) * rate))
            rest = state.chunk.values[first : first + self.config.committed]
            count = len(rest)
            prefix[:count] = rest
        generator = torch.Generator().manual_seed(derive(state.context.seed, "flow", state.cursor.passes))
        start = torch.from_numpy(prefix)[None], torch.tensor([count])
        values = head.sample(*context, *start, generator, noise=self.config.noise)
        actions = values[0].clamp(-1, 1)
        for part in self.network.config.whole:
            actions[:, part] = actions[:, part].round()
        return ActionChunk(values=actions.numpy().astype(np.float64), rate=rate, start=obs.t)

    def _express(
        self, obs: Observation, said: dict[str, list[int]], chunk: ActionChunk | None, state: State
    ) -> tuple[Output, State]:
        """Tokens become text, text phrases, phrases speech (beside the tick); the act token goes out as it is."""
        heard, state = self._text("heard", said, state)
        say, state = self._text("say", said, state)
        ready, phrases = self.phrases.push(say, state.phrases, obs.playback.queued_s)
        if self.layout.token("say", "close") in said["say"]:
            rest, phrases = self.phrases.flush(phrases)
            ready = ready + rest
        jobs = state.speaking + tuple(state.context.jobs.submit("first_audio", self._speak, text) for text in ready)
        spoken: list[Speech] = []
        while jobs and (speech := jobs[0].result()) is not None:
            spoken.append(speech)
            jobs = jobs[1:]
        acts = [self.layout.vocabularies["act"].names[token] for token in said.get("act", ())]
        output = Output(
            heard=heard,
            say=say,
            speech=tuple(spoken),
            act=ACTS[acts[-1]] if acts else Act.KEEP,
            chunk=chunk,
        )
        return output, replace(state, phrases=phrases, speaking=jobs)

    def _text(self, name: str, said: dict[str, list[int]], state: State) -> tuple[str, State]:
        """What a text slot's tokens add to its text; half a character waits."""
        base = [token for token in said.get(name, ()) if token < self.layout.vocabularies["text"].table.size]
        if self.network.text is None or not base:
            return "", state
        text, waiting = self.network.text.push(base, state.bytes_of.get(name, b""))
        return text, replace(state, bytes_of={**state.bytes_of, name: waiting})

    def _speak(self, text: str) -> Speech:
        assert self.voice is not None
        return self.voice.speak(text)
