"""Run the server: one process for the port, one for the session, one for the world.

Protocol pings find a client that has vanished without a word within five seconds.
"""

import asyncio
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn

from stretto.core.errors import StrettoError
from stretto.sessions.live import Live
from stretto.web.app import Door, loopback, make_app
from stretto.web.hub import Hub

LARGEST_FRAME = 4 * 2**20
"""Bytes of a message above which the connection is closed without reading it."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where to listen. `token` is needed off loopback and made when it is empty; `cert`, `key`: files for https."""

    host: str = "127.0.0.1"
    port: int = 8080
    token: str = ""
    cert: str = ""
    key: str = ""


def serve(live: Live, address: Address, ready: Callable[[str], None] = print) -> None:
    """Serve until Ctrl-C or a signal; `ready` is called with the page's address. Raises StrettoError."""
    if bool(address.cert) != bool(address.key):
        raise StrettoError("https needs both files: --cert and --key.")
    token = address.token or ("" if loopback(address.host) else secrets.token_urlsafe(18))
    listener = _listen(address)
    hub = Hub(live)
    host, port = listener.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    query = f"/?token={token}" if token else "/"
    ready(f"{'https' if address.cert else 'http'}://{name}:{port}{query}")
    try:
        server = make_server(hub, Door(host=address.host, token=token), address)
        asyncio.run(server.serve(sockets=[listener]))
    finally:
        hub.close()


def make_server(hub: Hub, door: Door, address: Address) -> uvicorn.Server:
    """The server of a hub; `serve(sockets=…)` runs it."""
    config = uvicorn.Config(
        make_app(hub, door),
        ws="websockets-sansio",
        ws_max_size=LARGEST_FRAME,
        ws_per_message_deflate=False,
        ws_ping_interval=2.0,
        ws_ping_timeout=3.0,
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=2,
        ssl_certfile=address.cert or None,
        ssl_keyfile=address.key or None,
    )
    return uvicorn.Server(config)


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server((address.host, address.port), family=family, backlog=64)
    except (OSError, OverflowError) as error:
        raise StrettoError(
            f"Cannot listen on {address.host}:{address.port}: {error}. Choose another with --port or --host."
        ) from error
    listener.set_inheritable(False)
    return listener
