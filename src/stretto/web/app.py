"""One port: the page, the wire, health and metrics. Who is let in is decided here.

On a loopback address everybody on the machine may come, but no strange web page: the `Origin` and `Host` of a request
must be the server's own. On any other address a token is needed (`?token=`, `Authorization: Bearer`, or the
subprotocol that browser clients of realtime servers use).
"""

import asyncio
import hmac
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.requests import HTTPConnection

from stretto.web.hub import Client, Hub
from stretto.web.speech import message
from stretto.web.wire import WireError

STATIC = Path(__file__).parent / "static"
SUBPROTOCOL = "realtime"
TOKEN_PROTOCOL = "openai-insecure-api-key."
POLICY, TOO_SLOW = 1008, 1013
CLOSE_S = 1.0
"""How long a client that does not read is given to hear why it is shut out."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """Who may come in: `token` empty is none needed (loopback only)."""

    host: str = "127.0.0.1"
    token: str = ""

    def refusal(self, request: HTTPConnection) -> str:
        """Why a request is not let in; empty when it is."""
        asked = urlsplit("//" + request.headers.get("host", "")).hostname or ""
        origin = request.headers.get("origin")
        if origin and origin != "null" and urlsplit(origin).netloc != request.headers.get("host", ""):
            return "a page of another site may not talk to this robot"
        if not self.token:
            return "" if loopback(asked) else f"this server answers to loopback names only, not to '{asked[:80]}'"
        if any(hmac.compare_digest(given.encode(), self.token.encode()) for given in _tokens(request)):
            return ""
        return "the token is missing or wrong: it stands in the address that the server printed"


def loopback(host: str) -> bool:
    """Whether an address means this machine only."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _tokens(request: HTTPConnection) -> list[str]:
    protocols = [p.strip() for p in request.headers.get("sec-websocket-protocol", "").split(",")]
    return [
        request.query_params.get("token", ""),
        request.headers.get("authorization", "").removeprefix("Bearer "),
        *(p.removeprefix(TOKEN_PROTOCOL) for p in protocols if p.startswith(TOKEN_PROTOCOL)),
    ]


def make_app(hub: Hub, door: Door) -> FastAPI:
    """The application; it closes the hub when it ends."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(hub.close)

    app = FastAPI(title="Stretto", docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)

    @app.get("/")
    async def page() -> Response:
        headers = {"cache-control": "no-cache", "content-security-policy": CSP, "referrer-policy": "no-referrer"}
        return FileResponse(STATIC / "index.html", headers=headers)

    @app.get("/health")
    async def health() -> Response:
        state = hub.facts["state"]
        return JSONResponse({"ok": state != "fault", "state": state}, 200 if state != "fault" else 503)

    @app.websocket("/v1/realtime")
    async def realtime(socket: WebSocket) -> None:
        why = door.refusal(socket)
        if why:
            await socket.close(POLICY, why)
            return
        asked = socket.headers.get("sec-websocket-protocol", "")
        await socket.accept(SUBPROTOCOL if SUBPROTOCOL in [p.strip() for p in asked.split(",")] else None)
        await _serve(hub, socket)

    app.add_api_route("/metrics", _metrics(hub, door), methods=["GET"])
    app.mount("/static", _Fresh(directory=STATIC))
    return app


class _Fresh(StaticFiles):
    """Files that a browser asks for again each time (and mostly hears that they have not changed)."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response


CSP = (
    "default-src 'self'; img-src 'self' blob: data:; connect-src 'self' ws: wss:; style-src 'self'; "
    "media-src 'self' blob:; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def _metrics(hub: Hub, door: Door) -> Any:
    async def metrics() -> Response:
        dropped = sum(client.outbox.dropped for client in hub.clients)
        values = {f"{name}_total": value for name, value in hub.counts.items()}
        values |= {"connected": len(hub.clients), "owned": int(hub.owner is not None), "waiting_dropped": dropped}
        values |= {"latched": int(hub.robot.latched), "running": int(hub.facts["state"] == "running")}
        text = "".join(f"stretto_{name} {value}\n" for name, value in values.items())
        return Response(text, media_type="text/plain; version=0.0.4")

    return metrics


async def _serve(hub: Hub, socket: WebSocket) -> None:
    """One connection, from its first message to its end, whoever ends it."""
    try:
        client = hub.join(watch=socket.query_params.get("role") == "watch")
    except WireError as error:
        await socket.send_text(message("error", 0.0, **error.fields()).head)
        await socket.close(TOO_SLOW, str(error))
        return
    sender = asyncio.create_task(_send(client, socket))
    reader = asyncio.create_task(_read(hub, client, socket))
    full = asyncio.create_task(client.outbox.full.wait())
    try:
        await asyncio.wait({sender, reader, full}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hub.leave(client)
        for task in (sender, reader, full):
            task.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError, OSError):
                await task
    if client.outbox.full.is_set():
        with suppress(TimeoutError, RuntimeError, OSError):
            await asyncio.wait_for(socket.close(TOO_SLOW, "this client reads too slowly"), CLOSE_S)


async def _read(hub: Hub, client: Client, socket: WebSocket) -> None:
    while True:
        received = await socket.receive()
        if received["type"] == "websocket.disconnect":
            return
        text = received.get("text")
        if text is not None:
            welcome = hub.receive(client, text)
        else:
            what = "Messages are JSON text; sound goes as base64 in input_audio_buffer.append, not as binary."
            welcome = hub.refuse(client, WireError("unexpected_binary", what))
        if not welcome:
            await asyncio.sleep(0)
            await socket.close(POLICY, "too many messages that had to be refused")
            return


async def _send(client: Client, socket: WebSocket) -> None:
    with suppress(WebSocketDisconnect, RuntimeError, OSError):
        while True:
            part = await client.outbox.next()
            await (socket.send_text(part) if isinstance(part, str) else socket.send_bytes(part))
