"""For tests of the wire: a server in a thread, a robot that only remembers, clients that wait for what they want."""

import asyncio
import contextlib
import json
import socket
import struct
import threading

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from stretto.sessions.live import Live
from stretto.web.app import Door
from stretto.web.hub import Hub
from stretto.web.serve import Address, make_server

LIVE = Live(task="dummy:0", agent="random", clock="wall", seconds=1e9, cameras_hz=5.0, reflex=False)


class FakeRobot:
    """Remembers what it was told; says that it runs as soon as it is started."""

    def __init__(self, hear):
        self.hear, self.told, self.latched, self.closed, self.sessions = hear, [], False, False, 0

    def start(self, live):
        self.sessions += 1
        facts = {"state": "running", "session": self.sessions, "task": live.task, "agent": live.agent, "tasks": []}
        self.hear("state", facts)

    def tell(self, verb, *args, loses=False):
        self.told.append((verb, *args))

    def halt(self, by):
        self.latched = True
        self.told.append(("halt", by))

    def release(self):
        self.latched = False
        self.told.append(("release",))

    def close(self):
        self.closed = True


class Client:
    """One WebSocket connection; `until` reads on to the first event that fits and keeps all of them in `seen`."""

    def __init__(self, url, **options):
        self._connecting = connect(url, max_size=None, **options)
        self.seen = []

    def send(self, kind, **fields):
        self.socket.send(json.dumps({"type": kind, **fields}))

    def until(self, kind, fits=lambda event: True, timeout=15.0):
        while True:
            event = self.next(timeout)
            if event["type"] == kind and fits(event):
                return event

    def next(self, timeout=15.0):
        data = self.socket.recv(timeout=timeout)
        if isinstance(data, bytes):
            length = struct.unpack("<I", data[:4])[0]
            event = {**json.loads(data[4 : 4 + length]), "body": data[4 + length :]}
        else:
            event = json.loads(data)
        self.seen.append(event)
        return event

    def error(self):
        return self.until("error")["error"]

    def ended(self):
        """The code with which the server ends the connection."""
        try:
            while True:
                self.next()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None

    def drop(self):
        """Vanish without a word: no closing handshake."""
        self.socket.socket.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        self.socket = self._connecting.__enter__()
        return self

    def __exit__(self, *error):
        self._connecting.__exit__(*error)


@contextlib.contextmanager
def serving(make_robot=FakeRobot, live=LIVE, door=Door(host="127.0.0.1")):  # noqa: B008
    """A server on a free port; gives (its hub, the address of its wire)."""
    listener = socket.create_server(("127.0.0.1", 0))
    hub = Hub(live, make_robot)
    server = make_server(hub, door, Address())
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield hub, f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/realtime"
    finally:
        server.should_exit = True
        thread.join(20)
        hub.close()
