"""Who is there, who may speak to the robot, and what everybody is told.

One client owns the robot: who comes first, or claims it when nobody has it. The others watch. Anybody may stop the arm;
only the owner may let it go. When the owner goes away, however he goes, the arm is halted by the latch, and stays
halted until somebody owns it again and the agent is told to move. Everything here runs in the server's event loop; the
robot's thread only hands things over.
"""

import asyncio
import itertools
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from stretto.core import registry
from stretto.core.clock import WallClock
from stretto.core.errors import StrettoError, unknown
from stretto.sessions.live import Live, split_task
from stretto.web import wire
from stretto.web.outbox import Outbox
from stretto.web.robot import Robot
from stretto.web.speech import Message, message
from stretto.web.wire import Asked, WireError

AGENTS = ("cascade", "duplex", "zero", "random")
"""Agents that a person can talk to (or see that they cannot)."""
PATIENCE = 50
"""Refusals within `PATIENCE_S` after which a client is shut out."""
PATIENCE_S = 10.0
MOST_CLIENTS = 16
IDLE_S = 120.0
"""After so long without anybody the session ends; who comes next begins another."""


@dataclass(eq=False)
class Client:
    """One connection."""

    name: str
    outbox: Outbox = field(default_factory=Outbox)
    rate: int = 24_000
    last_seq: int = 0
    refused: deque[float] = field(default_factory=lambda: deque(maxlen=PATIENCE))


class Hub:
    """The clients of one robot."""

    def __init__(self, live: Live, make_robot: Callable[[Callable[[str, Any], None]], Any] = Robot) -> None:
        self.live, self.clock = live, WallClock()
        self.clients: list[Client] = []
        self.owner: Client | None = None
        self.robot = make_robot(self._overhear)
        self.facts: dict[str, Any] = {"state": "idle", "task": live.task, "agent": live.agent}
        self.counts = {"clients": 0, "refused": 0, "stops": 0, "ticks": 0, "late": 0, "sessions": 0, "faults": 0}
        self._names = itertools.count(1)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._latched_by, self._t = "", 0.0

    # people come and go

    def join(self, watch: bool = False) -> Client:
        """A client that has connected. Raises WireError when there is no room."""
        self._loop = asyncio.get_running_loop()
        if len(self.clients) >= MOST_CLIENTS:
            raise WireError("too_many_clients", f"{MOST_CLIENTS} clients are connected; no more are let in.")
        client = Client(f"client_{next(self._names)}")
        self.clients.append(client)
        self.counts["clients"] += 1
        if self._idle is not None:
            self._idle.cancel()
        session = {"id": f"sess_{client.name}", "object": "realtime.session", **self._audio(client)}
        client.outbox.put(message("session.created", self._t, client=client.name, session=session))
        if self.owner is None and not watch:
            self._own(client)
        if self.facts["state"] == "idle":
            self._start(self.live)
        else:
            self._tell_status()
        return client

    def leave(self, client: Client) -> None:
        """A client that is gone, however it went."""
        if client not in self.clients:
            return
        self.clients.remove(client)
        self._disown(client)
        self._tell_status()
        if not self.clients and self._loop is not None:
            self._idle = self._loop.call_later(IDLE_S, self._rest)

    def _rest(self) -> None:
        if not self.clients:
            self.robot.tell("end")
            self.facts["state"] = "idle"

    def _own(self, client: Client) -> None:
        self.owner = client
        if self.robot.latched and self._latched_by == "owner_gone":
            self.robot.release()
            self._latched_by = ""

    def _disown(self, client: Client) -> None:
        if self.owner is not client:
            return
        self.owner = None
        self._halt("owner_gone")
        for verb in ("hush", "clear", "quiet"):
            self.robot.tell(verb)

    def _halt(self, by: str) -> None:
        if not self.robot.latched or self._latched_by == "owner_gone":
            self._latched_by = by
        self.robot.halt(by)

    # what clients send

    def receive(self, client: Client, text: str) -> bool:
        """Act on one message. False when this client has sent so much nonsense that it must go."""
        try:
            asked = wire.parse(text)
            self._in_order(client, asked)
            self._act(client, asked)
        except WireError as error:
            return self.refuse(client, error)
        return True

    def refuse(self, client: Client, error: WireError) -> bool:
        """Tell a client what was wrong. False when it was one time too many."""
        self.counts["refused"] += 1
        client.outbox.put(message("error", self._t, **error.fields()))
        now = self.clock.now()
        client.refused.append(now)
        return len(client.refused) < PATIENCE or now - client.refused[0] > PATIENCE_S

    def _in_order(self, client: Client, asked: Asked) -> None:
        if asked.seq is None:
            return
        if asked.seq <= client.last_seq and asked.kind != "action.stop":
            what = f"Message {asked.seq} of type '{asked.kind}' came after message {client.last_seq} and was ignored."
            raise WireError("out_of_order", what, asked.event_id)
        client.last_seq = max(client.last_seq, asked.seq)

    def _act(self, client: Client, asked: Asked) -> None:
        if asked.kind in wire.IGNORED:
            return
        if asked.kind not in FREE and client is not self.owner:
            who = "another client owns the robot" if self.owner else "nobody owns the robot: send session.claim"
            raise WireError("not_owner", f"'{asked.kind}' is for the owner, and {who}.", asked.event_id)
        getattr(self, "_on_" + asked.kind.replace(".", "_"))(client, asked)

    def _on_action_stop(self, client: Client, asked: Asked) -> None:
        self.counts["stops"] += 1
        self._halt("stop_button")
        self._tell_status()

    def _on_action_release(self, client: Client, asked: Asked) -> None:
        self.robot.release()
        self._latched_by = ""
        self._tell_status(latched=False)

    def _on_session_ping(self, client: Client, asked: Asked) -> None:
        client.outbox.put(message("session.pong", self._t, echo=asked.fields.get("echo")))

    def _on_session_claim(self, client: Client, asked: Asked) -> None:
        if self.owner not in (None, client):
            raise WireError("owned", "Another client owns the robot; you may watch, and stop it.", asked.event_id)
        self._own(client)
        self._tell_status()

    def _on_session_leave(self, client: Client, asked: Asked) -> None:
        self._disown(client)
        self._tell_status()

    def _on_session_update(self, client: Client, asked: Asked) -> None:
        wanted = asked.fields.get("session")
        if not isinstance(wanted, dict):
            raise WireError("invalid_value", "Expected 'session' as an object of settings.", asked.event_id)
        if wanted.get("input_audio_format", "pcm16") != "pcm16":
            raise WireError("invalid_value", "The only 'input_audio_format' is pcm16.", asked.event_id)
        if "input_audio_rate" in wanted:
            client.rate = round(wire.number(asked, "input_audio_rate", *wire.RATES, where=wanted))
        if "input_audio_ahead_s" in wanted:
            self.robot.tell("ahead", wire.number(asked, "input_audio_ahead_s", *wire.AHEAD_S, where=wanted))
        known = {"input_audio_format", "output_audio_format", "input_audio_rate", "input_audio_ahead_s"}
        ignored = sorted(str(name)[:60] for name in set(wanted) - known)[:50]
        client.outbox.put(message("session.updated", self._t, session=self._audio(client), ignored=ignored))

    def _on_session_reset(self, client: Client, asked: Asked) -> None:
        live, given = self.live, asked.fields
        agent, task, seed = given.get("agent", live.agent), given.get("task", live.task), given.get("seed", live.seed)
        if agent not in AGENTS:
            raise WireError("invalid_value", str(unknown("agent", str(agent)[:60], AGENTS)), asked.event_id)
        try:
            split_task(str(task))
            self.live = replace(live, agent=agent, task=str(task), seed=seed if isinstance(seed, int) else -1)
        except StrettoError as error:
            raise WireError("invalid_value", str(error), asked.event_id) from error
        self._start(self.live)

    def _on_input_audio_buffer_append(self, client: Client, asked: Asked) -> None:
        self.robot.tell("audio", wire.sound(asked), client.rate, loses=True)

    def _on_input_audio_buffer_clear(self, client: Client, asked: Asked) -> None:
        self.robot.tell("clear")
        client.outbox.put(message("input_audio_buffer.cleared", self._t))

    def _on_conversation_item_create(self, client: Client, asked: Asked) -> None:
        self.robot.tell("type", wire.line(asked))

    def _on_response_cancel(self, client: Client, asked: Asked) -> None:
        self.robot.tell("hush")

    _on_output_audio_buffer_clear = _on_response_cancel

    def _on_output_audio_buffer_played(self, client: Client, asked: Asked) -> None:
        self.robot.tell("lag", wire.number(asked, "played_t", 0.0, 1e9), loses=True)

    # what everybody is told

    def _overhear(self, verb: str, content: Any) -> None:
        """From the robot's thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._hear, verb, content)

    def _hear(self, verb: str, content: Any) -> None:
        if verb == "state":
            self._hear_state(content)
            return
        listeners = self.clients if verb == "say" else [self.owner] if self.owner else []
        for one in content:
            self._count(one)
            for client in listeners:
                client.outbox.put(one)

    def _hear_state(self, facts: dict[str, Any]) -> None:
        if facts["state"] == "ended" and self.facts["state"] == "idle":
            return
        self.facts.update(facts)
        self.facts["message"] = facts.get("message", "")
        self.counts["sessions"] += facts["state"] == "running"
        self.counts["faults"] += facts["state"] == "fault"
        if facts["state"] == "running":
            self._t = 0.0
        self._tell_status()

    def _count(self, one: Message) -> None:
        if one.head.startswith('{"type": "session.tick"'):
            event = json.loads(one.head)
            self._t = event["t"]
            self.counts["ticks"] += 1
        elif one.head.startswith('{"type": "session.late"'):
            self.counts["late"] += 1

    def _start(self, live: Live) -> None:
        self.facts.update(state="starting", task=live.task, agent=live.agent, seed=live.seed, message="")
        self.robot.start(live)
        self._tell_status()

    def _tell_status(self, latched: bool | None = None) -> None:
        for client in self.clients:
            client.outbox.put(message("session.status", self._t, **self.status(client, latched)))

    def status(self, client: Client | None = None, latched: bool | None = None) -> dict[str, Any]:
        """What is so now, as one client sees it."""
        down = self.robot.latched if latched is None else latched
        role = "nobody" if client is None else "owner" if client is self.owner else "watcher"
        return {
            **self.facts,
            "role": role,
            "owned": self.owner is not None,
            "clients": len(self.clients),
            "latched": down,
            "latched_by": self._latched_by if down else "",
            "agents": [agent for agent in AGENTS if agent in registry.names("agent")],
        }

    def _audio(self, client: Client) -> dict[str, Any]:
        formats = {"input_audio_format": "pcm16", "input_audio_rate": client.rate}
        return {**formats, "output_audio_format": "pcm16", "output_audio_rate": 24_000}

    def close(self) -> None:
        """End the robot; the arm is halted first."""
        self.robot.close()


FREE = ("action.stop", "session.claim", "session.ping", "session.update", "session.leave")
"""What those who only watch may send."""
