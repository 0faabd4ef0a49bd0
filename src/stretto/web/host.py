"""The process in which sessions run: one robot, one agent, one session after the other, told what to do by a pipe.

The server's process holds the port and the people; this one the agent and, as a child of its own, the world. So an
agent that computes never delays the server, and one that breaks takes nobody with it. An order is (verb, arguments):
`_on_verb` below does it. Answers: ("state", facts), ("say", messages for all), ("owner", messages for him). When the
server dies this process dies with it, and the world, whose owner is gone, halts its arm.
"""

import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import soxr

from stretto.core import registry
from stretto.core.clock import WallClock
from stretto.core.errors import StrettoError
from stretto.core.signals import HEARING_RATE
from stretto.runtime.process import WorldProcess, die_with_parent
from stretto.sessions.door import Door, Flow, Visitor
from stretto.sessions.live import VOICE_RATE, Live, reflex_of, run_open, world_config
from stretto.sessions.session import SessionFault
from stretto.web.post import Post
from stretto.web.speech import Message, Teller, jpeg, message

CAMERA_SIZE = 192
"""Pictures of worlds whose agent does not look: as large as costs no more."""


def main(pipe: Connection, latch: Any) -> None:
    """The process's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this process in its own way
    die_with_parent()
    host = Host(pipe, latch)
    threading.Thread(target=host.obey, daemon=True, name="orders").start()
    try:
        host.run()
    finally:
        host.close()


class Host:
    """Runs what was asked for last."""

    def __init__(self, pipe: Connection, latch: Any) -> None:
        self.pipe, self.latch = pipe, latch
        self.post = Post(pipe, make=_made)
        self.door, self.visitor = Door(lambda flow: None), Visitor()
        self.world: WorldProcess | None = None
        self._reflex: Any = None
        self._beside = ExitStack()
        self._world_config: Any = None
        self._agent: tuple[str, Any] = ("", None)
        self._wanted: list[Live | None] = []
        self._change = threading.Condition()
        self._resampler: tuple[int, Any] = (HEARING_RATE, None)
        self._ahead_s = self.door.ear.ahead_s
        self._sessions = 0
        self._teller: Teller | None = None
        self._running = False
        self._announce: Callable[[], None] | None = None
        self._by = ""

    def run(self) -> None:
        """Play sessions until the pipe ends."""
        while (live := self._next()) is not None:
            try:
                self._play(live)
            except SessionFault as fault:
                self._broke(str(fault))
            except StrettoError as error:
                self._broke(str(error))
                self._drop_world()
            except Exception as error:  # the edge of the session: whatever it is, the people must hear of it
                self._broke(f"the session failed: {error!r}")
                self._drop_world()

    def close(self) -> None:
        """End the world, whose arm is halted first."""
        self._drop_world()
        self.post.close()

    def _next(self) -> Live | None:
        with self._change:
            self._change.wait_for(lambda: self._wanted)
            return self._wanted.pop(0)

    def _play(self, live: Live) -> None:
        self._state("starting", live, message="the agent and its world are starting")
        agent = self._agent_of(live.agent)
        hz = getattr(agent, "cameras_hz", 0.0)
        size = live.camera_size if hz else CAMERA_SIZE
        live = replace(live, clock="wall", cameras_hz=max(live.cameras_hz, hz), camera_size=size)
        world = self._world_of(live, agent)
        self._sessions += 1
        self.visitor = Visitor()
        self.door = Door(self._send)
        self.door.ear.ahead_s = self._ahead_s
        self._teller = Teller(self._sessions, VOICE_RATE, round(1 / world.dt, 6))
        with self._change:
            self.door.closed = bool(self._wanted)
        facts = {"tasks": list(world.tasks), "cameras": list(world.cameras), "privileged": agent.privileged}
        if self.latch.value:
            self._teller.asked = (0.0, self._by)
        self._announce = lambda: self._state("running", live, **facts)
        self._running = True
        try:
            trace = run_open(live, world, agent, self.visitor, self.door, self._reflex)
        finally:
            self._running = False
        self._state("ended", live, seconds=trace.seconds)

    def _agent_of(self, name: str) -> Any:
        if self._agent[0] != name:
            self._agent = ("", None)
            self._agent = (name, registry.build("agent", name))
        return self._agent[1]

    def _world_of(self, live: Live, agent: Any) -> WorldProcess:
        config = world_config(live, agent.privileged, getattr(agent, "camera_turns", ()))
        deaf = self._reflex is not None and not self._reflex.alive
        if self.world is None or config != self._world_config or deaf:
            self._drop_world()
            self.world, self._world_config = WorldProcess(config, self.latch), config
            self._reflex = self._beside.enter_context(reflex_of(live, self.world))
        return self.world

    def _drop_world(self) -> None:
        self._beside.close()
        self._reflex = None
        if self.world is not None:
            self.world.close()
            self.world = None

    def _state(self, state: str, live: Live, **facts: Any) -> None:
        about = {"session": self._sessions, "task": live.task, "agent": live.agent, "seed": live.seed}
        self.post.send(("state", {"state": state, **about, **facts}))

    def _broke(self, why: str) -> None:
        self.post.send(("state", {"state": "fault", "session": self._sessions, "message": why}))

    def _send(self, flow: Flow) -> None:
        """From the session's thread: messages now, pictures encoded by the post."""
        assert self._teller is not None
        if self._announce is not None:
            self._announce()
            self._announce = None
        self.post.send(("say", self._teller.tell(flow, bool(self.latch.value))))
        for image in flow.images:
            self.post.send(("picture", image), loses=True)

    def obey(self) -> None:
        """Read orders until the server is gone."""
        with suppress(EOFError, OSError):
            while True:
                verb, *args = self.pipe.recv()
                if verb == "quit":
                    break
                self._obey(verb, args)
        self.latch.value = 1
        self.door.closed = True
        with self._change:
            self._wanted = [None]
            self._change.notify()

    def _obey(self, verb: str, args: list[Any]) -> None:
        try:
            getattr(self, f"_on_{verb}")(*args)
        except Exception as error:  # the edge of the process: one order that fails must not end all that follow
            self.latch.value = 1
            self._broke(f"the order '{verb}' failed, and the arm was halted: {error!r}")

    def _on_start(self, live: Live) -> None:
        with self._change:
            self._wanted = [live]
            self.door.closed = True
            self._change.notify()

    def _on_end(self) -> None:
        with self._change:
            self._wanted.clear()
            self.door.closed = True

    def _on_audio(self, pcm: bytes, rate: int) -> None:
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768
        if rate != HEARING_RATE:
            if self._resampler[0] != rate:
                self._resampler = (rate, soxr.ResampleStream(rate, HEARING_RATE, 1, dtype="float32", quality="MQ"))
            samples = self._resampler[1].resample_chunk(samples)
        lost = self.door.ear.push(samples)
        if lost:
            text = f"{1000 * lost:.0f} ms of sound came faster than time passes and were dropped."
            error = {"type": "input_audio_buffer", "code": "input_audio_overrun", "message": text}
            self.post.send(("owner", [message("error", self._now(), error=error)]), loses=True)

    def _on_type(self, text: str) -> None:
        if not self.visitor.type(text):
            error = {"type": "invalid_request_error", "code": "too_many_lines", "message": "Too many lines wait."}
            self.post.send(("owner", [message("error", self._now(), error=error)]), loses=True)

    def _on_hush(self) -> None:
        self.door.order("hush")

    def _on_halt(self, by: str, at: float) -> None:
        """`at`: the machine's time when the latch was set; this order may come later."""
        self._by = by
        if self._teller is not None:
            asked = self._now() - (WallClock(epoch=0.0).now() - at)
            self._teller.asked = self._teller.asked or (asked, by)
        self.door.order("halt")

    def _on_release(self) -> None:
        if self._teller is not None:
            self._teller.asked = None
        if self._running:
            self.door.order("release")
        else:
            self.latch.value = 0

    def _on_lag(self, played_t: float) -> None:
        self.door.lag_s = float(np.clip(self._now() - played_t, 0.0, 2.0))

    def _on_quiet(self) -> None:
        self.door.lag_s = 0.0

    def _on_ahead(self, seconds: float) -> None:
        self._ahead_s = self.door.ear.ahead_s = seconds

    def _on_clear(self) -> None:
        self.door.ear.clear()

    def _now(self) -> float:
        return self.door.now()


def _made(item: tuple[str, Any]) -> tuple[str, Any]:
    """Pictures become messages here, in the post's thread."""
    verb, content = item
    if verb != "picture":
        return item
    body = jpeg(content.pixels)
    height, width = content.pixels.shape[:2]
    head = message("session.image", content.t, camera=content.camera, mime="image/jpeg", width=width, height=height)
    return ("say", [Message(head.head, body, loses=True)])
