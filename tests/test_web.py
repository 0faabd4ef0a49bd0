"""The wire with a robot that only remembers: who may do what, and every kind of bad input."""

import asyncio
import base64
import contextlib
import json
import re
import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from starlette.requests import HTTPConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from stretto.web import wire
from stretto.web.app import Door
from stretto.web.outbox import MOST_BYTES, PICTURES, Outbox
from stretto.web.speech import ACTIONS, Message, message
from web_client import Client, FakeRobot, serving


@pytest.fixture(scope="module")
def served():
    with serving() as (hub, url):
        yield hub, url


@pytest.fixture
def owner(served):
    with Client(served[1]) as client:
        client.until("session.status", lambda event: event["role"] == "owner")
        served[0].robot.told.clear()
        served[0].robot.latched = False
        yield client


def settled(client):
    """All that was sent before has been acted on."""
    client.send("session.ping", echo=7)
    return client.until("session.pong")


def told(hub, verb):
    return [order for order in hub.robot.told if order[0] == verb]


def pcm(n=320):
    return base64.b64encode(np.zeros(n, "<i2").tobytes()).decode()


def narrow(url):
    """A socket that takes little at a time."""
    parts = urlsplit(url)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect((parts.hostname, parts.port))
    return plain


# what it is for


def test_who_comes_first_owns_the_robot_and_is_told_how_sound_is_sent(owner):
    created = next(event for event in owner.seen if event["type"] == "session.created")
    assert created["session"]["output_audio_rate"] == 24_000
    assert [event["seq"] for event in owner.seen] == list(range(1, len(owner.seen) + 1))


def test_sound_text_and_hush_reach_the_robot(served, owner):
    owner.send("session.update", session={"input_audio_rate": 16_000, "voice": "alloy"})
    assert owner.until("session.updated")["ignored"] == ["voice"]
    owner.send("input_audio_buffer.append", audio=pcm())
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": " open\nthe drawer "}]}
    owner.send("conversation.item.create", item=item)
    owner.send("response.cancel")
    owner.send("output_audio_buffer.played", played_t=1.5)
    owner.send("response.create")
    settled(owner)
    assert served[0].robot.told[-4:] == [
        ("audio", bytes(640), 16_000),
        ("type", "open the drawer"),
        ("hush",),
        ("lag", 1.5),
    ]


def test_a_second_client_watches_and_may_stop_but_not_speak_nor_let_go(served, owner):
    with Client(served[1]) as second:
        assert second.until("session.status")["role"] == "watcher"
        second.send("input_audio_buffer.append", audio=pcm())
        assert second.error()["code"] == "not_owner"
        second.send("session.claim")
        assert second.error()["code"] == "owned"
        second.send("action.stop")
        assert second.until("session.status", lambda event: event["latched"])["latched_by"] == "stop_button"
        second.send("action.release")
        assert second.error()["code"] == "not_owner"
    assert told(served[0], "halt") == [("halt", "stop_button")]
    owner.send("action.release")
    settled(owner)
    assert told(served[0], "release")


def test_when_the_owner_leaves_the_arm_is_halted_and_another_may_take_it(served, owner):
    with Client(served[1]) as second:
        owner.send("session.leave")
        status = second.until("session.status", lambda event: not event["owned"])
        assert status["latched_by"] == "owner_gone"
        second.send("session.claim")
        assert second.until("session.status", lambda event: event["role"] == "owner")
        assert not served[0].robot.latched


def test_a_button_that_was_pressed_stays_pressed_when_the_owner_changes(served, owner):
    owner.send("action.stop")
    owner.send("session.leave")
    owner.send("session.claim")
    status = owner.until("session.status", lambda event: event["role"] == "owner" and event["latched"])
    assert status["latched_by"] == "stop_button"
    assert served[0].robot.latched


def test_a_reset_starts_the_agent_and_task_that_were_chosen(served, owner):
    owner.send("session.reset", agent="zero", task="dummy:1", seed=3)
    status = owner.until("session.status", lambda event: event["state"] == "running" and event["agent"] == "zero")
    assert status["task"] == "dummy:1"


# bad input


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ("[1]", "invalid_event"),
        ('{"typ": 1}', "invalid_event"),
        ('{"type": "action.stop", "seq": "one"}', "invalid_event"),
        ('{"type": "action.halt", "event_id": "e1"}', "unknown_event"),
        ('{"type": "input_audio_buffer.append"}', "invalid_audio"),
        ('{"type": "input_audio_buffer.append", "audio": "%%%%"}', "invalid_audio"),
        ('{"type": "input_audio_buffer.append", "audio": "AAAA"}', "invalid_audio"),
        ('{"type": "conversation.item.create", "item": {"content": [{"type": "input_text"}]}}', "invalid_item"),
        ('{"type": "conversation.item.create"}', "invalid_item"),
        ('{"type": "session.update", "session": {"input_audio_rate": 1}}', "invalid_value"),
        ('{"type": "session.update", "session": {"input_audio_format": "g711"}}', "invalid_value"),
        ('{"type": "session.update"}', "invalid_value"),
        ('{"type": "session.reset", "agent": "cascad"}', "invalid_value"),
        ('{"type": "session.reset", "task": "dummy"}', "invalid_value"),
        ('{"type": "session.reset", "seed": "x"}', "invalid_value"),
        ('{"type": "output_audio_buffer.played", "played_t": NaN}', "invalid_value"),
        ("x" * (wire.LARGEST + 1), "message_too_large"),
    ],
)
def test_what_cannot_be_understood_is_refused_and_the_connection_goes_on(owner, text, code):
    owner.socket.send(text)
    error = owner.error()
    assert error["code"] == code
    assert len(error["message"]) < 600
    assert settled(owner)


def test_an_error_names_the_message_and_the_nearest_event(owner):
    owner.socket.send('{"type": "action.stopp", "event_id": "e1"}')
    error = owner.error()
    assert error["event_id"] == "e1"
    assert "Did you mean 'action.stop'" in error["message"]


def test_half_a_sample_is_said_to_be_half_a_sample(owner):
    owner.send("input_audio_buffer.append", audio=base64.b64encode(bytes(641)).decode())
    assert "the last sample is half" in owner.error()["message"]


def test_text_as_binary_is_refused(owner):
    owner.socket.send(b'{"type": "session.ping"}')
    assert owner.error()["code"] == "unexpected_binary"
    assert settled(owner)


def test_messages_out_of_order_are_ignored_but_a_stop_never_is(served, owner):
    owner.send("session.ping", seq=5)
    owner.send("input_audio_buffer.append", seq=4, audio=pcm())
    assert owner.error()["code"] == "out_of_order"
    owner.send("action.stop", seq=1)
    owner.until("session.status", lambda event: event["latched"])
    assert not told(served[0], "audio")


def test_a_message_beyond_all_measure_ends_the_connection_and_halts_the_arm_of_its_owner(served, owner):
    with Client(served[1]) as other:
        with contextlib.suppress(ConnectionClosed, OSError):
            owner.socket.send("x" * (5 * 2**20))
        assert owner.ended() in (1009, None)  # None: it was reset before the reason had been read
        assert other.until("session.status", lambda event: not event["owned"])["latched_by"] == "owner_gone"


def test_an_owner_who_vanishes_in_the_middle_of_a_word_leaves_the_arm_halted(served):
    with Client(served[1], close_timeout=0.1) as owner, Client(served[1]) as other:
        owner.until("session.status", lambda event: event["role"] == "owner")
        owner.send("input_audio_buffer.append", audio=pcm())
        settled(owner)
        owner.drop()
        status = other.until("session.status", lambda event: not event["owned"])
    assert status["latched_by"] == "owner_gone"
    assert ("halt", "owner_gone") in served[0].robot.told
    assert ("hush",) in served[0].robot.told


def test_who_sends_only_nonsense_is_shut_out_and_others_are_not_disturbed(served, owner):
    with Client(served[1]) as flood:
        for _ in range(500):
            with contextlib.suppress(ConnectionClosed, OSError):
                flood.socket.send("nonsense")
        assert flood.ended() == 1008
    owner.send("action.stop")
    owner.until("session.status", lambda event: event["latched"])


def test_a_flood_of_sound_does_not_keep_a_stop_waiting(served, owner):
    for _ in range(3000):
        owner.send("input_audio_buffer.append", audio=pcm())
    owner.send("action.stop")
    owner.until("session.status", lambda event: event["latched"])
    assert len(told(served[0], "audio")) == 3000


def test_who_reads_slowly_loses_pictures_and_nothing_else_and_nobody_waits_for_him(served, owner):
    """The hub puts more into the wire than the sleeper's buffers hold; he reads only afterwards."""
    hub, url = served
    picture = Message('{"type": "session.image"}', bytes(200_000), loses=True)
    with Client(url, sock=narrow(url), max_queue=1) as sleeper:
        settled(sleeper)
        for number in range(120):
            hub.robot.hear("say", [picture, message("action.started", number)])
            owner.until("action.started", lambda event, number=number: event["t"] == number)
        sleeper.until("action.started", lambda event: event["t"] == 119)
        shown = sum(event["type"] == "session.image" for event in sleeper.seen)
        started = [event["t"] for event in sleeper.seen if event["type"] == "action.started"]
        numbers = [event["seq"] for event in sleeper.seen]
    assert started == list(range(120))
    assert shown < 120
    assert numbers == sorted(numbers)
    assert numbers[-1] - len(numbers) == 120 - shown


def test_who_does_not_read_at_all_is_shut_out(served, owner):
    hub, url = served
    with Client(url, sock=narrow(url), max_queue=1, close_timeout=0.1) as deaf:
        settled(deaf)
        for _ in range(40):
            hub.robot.hear("say", [message("action.started", 0.0, goal="x" * 200_000)] * (MOST_BYTES // 400_000))
            settled(owner)
            if len(hub.clients) == 1:
                break
        assert len(hub.clients) == 1


def test_too_many_clients_are_refused_in_words(served, owner, monkeypatch):
    monkeypatch.setattr("stretto.web.hub.MOST_CLIENTS", 1)
    with Client(served[1]) as second:
        assert second.error()["code"] == "too_many_clients"
        assert second.ended() == 1013


# who is let in


def refusal(url, **headers):
    with pytest.raises(InvalidStatus) as refused, Client(url, additional_headers=headers):
        pass
    return refused.value.response.status_code


def test_a_page_of_another_site_may_not_talk_to_the_robot(served):
    assert refusal(served[1], Origin="https://evil.example") == 403


def test_a_name_that_only_points_here_may_not_either():
    """DNS rebinding: the host in the request is not a loopback name."""
    door = Door(host="127.0.0.1")
    scope = {"type": "http", "headers": [(b"host", b"evil.example:8080")], "query_string": b""}
    assert "loopback names only" in door.refusal(HTTPConnection(scope))


def test_off_loopback_the_token_lets_in_however_it_is_carried():
    with serving(FakeRobot, door=Door(host="0.0.0.0", token="secret")) as (_, url):
        assert refusal(url) == 403
        assert refusal(f"{url}?token=wrong") == 403
        with Client(f"{url}?token=secret") as client:
            client.until("session.created")
        with Client(url, additional_headers={"Authorization": "Bearer secret"}) as client:
            client.until("session.created")
        with Client(url, subprotocols=["realtime", "openai-insecure-api-key.secret"]) as client:
            assert client.socket.subprotocol == "realtime"


def fetch(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode(errors="replace"), answer.headers


def test_the_port_serves_page_health_and_metrics(served, owner):
    base = served[1].replace("ws:", "http:").removesuffix("/v1/realtime")
    page, headers = fetch(f"{base}/")
    assert "<title>Stretto</title>" in page
    assert "script-src" not in page
    assert "default-src 'self'" in headers["content-security-policy"]
    assert json.loads(fetch(f"{base}/health")[0])["ok"]
    assert "stretto_connected 1" in fetch(f"{base}/metrics")[0]
    for line in page.split('"'):
        if line.startswith("static/"):
            assert fetch(f"{base}/{line}")[0]


def test_of_pictures_only_the_newest_wait():
    async def fill():
        box = Outbox()
        for _ in range(20):
            box.put(Message('{"type": "session.image"}', b"jpeg", loses=True))
        box.put(message("action.halted", 1.0))
        return [await box.next() for _ in range(PICTURES + 1)], box

    parts, box = asyncio.run(fill())
    assert json.loads(parts[-1])["seq"] == 21
    assert box.dropped == 20 - PICTURES
    assert box.bytes == 0


def test_the_client_that_the_wires_page_shows_runs(served, capsys):
    """It sends a second of sound and a task, prints what the robot does, and stops it when it is done."""
    hub, url = served
    page = Path("docs/wire.md").read_text()
    code = page.split("```python\n")[1].split("```")[0].replace("ws://127.0.0.1:8080/v1/realtime", url)
    hub.robot.told.clear()

    def acts(verb, *args, loses=False):
        FakeRobot.tell(hub.robot, verb, *args)
        if verb == "type":
            hub._overhear("messages", [message("action.started", 1.0), message("action.completed", 2.0)])

    hub.robot.tell = acts
    try:
        exec(compile(code, "docs/wire.md", "exec"), {})
    finally:
        del hub.robot.tell
    with Client(url) as later:
        settled(later)
    assert len(told(hub, "audio")) == 50
    assert told(hub, "type") == [("type", "put the bowl on the plate")]
    assert "action.started" in capsys.readouterr().out
    assert ("halt", "stop_button") in hub.robot.told


def test_the_wires_page_names_every_event():
    """Types that clients may send, and every "a.b" type that the server's code makes."""
    root = Path(__file__).parents[1]
    page = (root / "docs" / "wire.md").read_text()
    source = "".join(file.read_text() for file in (root / "src" / "stretto" / "web").glob("*.py"))
    kinds = {*wire.TYPES, *ACTIONS.values(), *re.findall(r'message\(\s*"([a-z_.]+)"', source)}
    codes = set(re.findall(r'WireError\(\s*"([a-z_]+)"', source))
    assert len(kinds) > 30
    assert len(codes) > 10
    assert not [name for name in kinds | codes if name not in page and f"`.{name.rpartition('.')[2]}`" not in page]
