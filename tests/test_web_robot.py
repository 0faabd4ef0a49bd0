"""The server with a real session process and a dummy world: latches, dying processes, owners who vanish; the sound."""

import base64
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from stretto.agents.zero import Zero
from stretto.core.clock import VirtualClock
from stretto.core.signals import Output
from stretto.runtime.delays import NoDelays
from stretto.runtime.world import World
from stretto.sessions.door import Door, Visitor
from stretto.sessions.session import Session
from stretto.web.robot import Robot
from stretto.web.speech import Teller
from web_client import LIVE, Client, serving

pytestmark = pytest.mark.slow


def steps(client, n, fits):
    """Read on until `n` control periods in a row fit; returns the time of the first of them."""
    row = []
    while len(row) < n:
        for step in client.until("session.pulse")["steps"]:
            row = [*row, step] if fits(step) else []
    return row[0][0]


def moving(step):
    return not step[2]


def standing(step):
    return step[2] and step[3]


@pytest.fixture(scope="module")
def served():
    with serving(Robot, LIVE) as (hub, url):
        yield hub, url


@pytest.fixture
def owner(served):
    """The owner of a session that has just begun, with its arm in motion."""
    with Client(served[1], close_timeout=0.5) as client:
        client.until("session.status", lambda event: event["role"] == "owner")
        client.send("action.release")
        client.send("session.reset", agent="random", task="dummy:0")
        client.until("session.status", lambda event: event["state"] == "starting", timeout=60)
        client.until("session.status", lambda event: event["state"] == "running", timeout=60)
        steps(client, 3, moving)
        yield client


def test_the_button_halts_the_arm_and_it_stays_halted_until_it_is_let_go_and_told_to_move(owner):
    owner.send("action.stop")
    halted = owner.until("action.halted")
    assert halted["by"] == "stop_button"
    assert halted["after_s"] < 1.0
    steps(owner, 20, standing)
    owner.send("action.release")
    owner.until("session.tick")
    steps(owner, 10, standing)


def test_a_latch_outlives_a_reset(served, owner):
    owner.send("action.stop")
    owner.send("session.reset")
    owner.until("session.status", lambda event: event["state"] == "starting")
    owner.until("session.status", lambda event: event["state"] == "running", timeout=60)
    assert owner.until("action.halted")["t"] < 0.2
    steps(owner, 10, standing)


def test_when_the_owner_vanishes_the_arm_stands_and_watchers_see_it(served, owner):
    with Client(served[1]) as watcher:
        watcher.until("session.pulse")
        owner.drop()
        assert watcher.until("action.halted")["by"] == "owner_gone"
        steps(watcher, 20, standing)


def test_a_session_process_that_is_killed_is_told_and_replaced(served, owner):
    os.kill(served[0].robot.pid, signal.SIGKILL)
    fault = owner.until("session.status", lambda event: event["state"] == "fault")
    assert "ended" in fault["message"]
    owner.send("session.reset")
    owner.until("session.status", lambda event: event["state"] == "running", timeout=60)
    steps(owner, 3, moving)


def test_a_reflex_that_died_halts_the_arm_and_a_reset_brings_another():
    with serving(Robot, replace(LIVE, reflex=True)) as (hub, url), Client(url, close_timeout=0.5) as client:
        client.until("session.status", lambda event: event["state"] == "running", timeout=60)
        steps(client, 3, moving)
        children = psutil.Process(hub.robot.pid).children()
        reflex = max(
            (each for each in children if "spawn_main" in " ".join(each.cmdline())), key=lambda p: p.create_time()
        )
        reflex.kill()
        fault = client.until("error", lambda event: event["error"]["code"] == "fault", timeout=20)
        assert "reflex's process" in fault["error"]["message"]
        steps(client, 10, standing)
        client.send("session.reset")
        client.until("session.status", lambda event: event["state"] == "running", timeout=60)
        steps(client, 3, moving)


def test_the_button_works_while_the_session_process_hangs(served, owner):
    """Stopped by a signal, it reads no message; the world reads the latch all the same."""
    os.kill(served[0].robot.pid, signal.SIGSTOP)
    try:
        owner.send("action.stop")
        owner.until("session.status", lambda event: event["latched"])
    finally:
        os.kill(served[0].robot.pid, signal.SIGCONT)
    steps(owner, 20, standing)


def test_pictures_come_from_both_cameras_and_nothing_is_lost(owner):
    cameras = set()
    while cameras != {"front", "wrist"}:
        image = owner.until("session.image")
        cameras.add(image["camera"])
        assert image["body"].startswith(b"\xff\xd8")
    numbers = [event["seq"] for event in owner.seen]
    assert numbers == list(range(1, len(numbers) + 1))


SERVER = """
from web_client import LIVE, Client, serving
from stretto.web.robot import Robot

if __name__ == "__main__":
    with serving(Robot, LIVE) as (hub, url), Client(url) as client:
        client.until("session.tick", timeout=60)
        print(hub.robot.pid, flush=True)
        while True:
            client.next()
"""


def test_when_the_server_is_killed_session_and_world_end_and_with_them_the_arm_is_halted(tmp_path):
    """The world's own part, zero commands when its owner dies, is in test_process.py."""
    path = tmp_path / "server.py"
    path.write_text(SERVER)
    paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, text=True, env=paths) as server:
        assert server.stdout is not None
        session = psutil.Process(int(server.stdout.readline()))
        family = [session, *session.children(recursive=True)]
        assert len(family) >= 2
        server.kill()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


# the sound


class Talker(Zero):
    """Says two sentences, and is silent from tick `hushes` on."""

    def __init__(self, speech, hushes=0):
        self.speech, self.hushes = speech, hushes

    def step(self, obs, state):
        speech = (self.speech, self.speech) if obs.tick == 3 else ()
        return Output(speech=speech, hush=obs.tick == self.hushes), state


def told(agent, seconds=5.0):
    """(trace, events) of a session on the virtual clock."""
    events, teller = [], Teller(1, 24_000, 20.0)
    door = Door(lambda flow: events.extend(json.loads(one.head) for one in teller.tell(flow)))
    world = World.Config(env="dummy", suite="dummy", expert="").build()
    session = Session.Config(voice_rate=24_000).build(world, agent, VirtualClock(), NoDelays(), (), door)
    return session.run(Visitor(), "0", seed=1, seconds=seconds), events


def of(events, kind):
    return [event for event in events if event["type"] == kind]


def sound(events, name):
    parts = [event for event in of(events, "response.audio.delta") if event["response_id"] == name]
    pieces = [np.frombuffer(base64.b64decode(event["delta"]), "<i2") for event in parts]
    starts = np.cumsum([0, *(len(piece) for piece in pieces)])[:-1]
    assert [event["sample"] for event in parts] == list(starts)
    return np.concatenate(pieces).astype(np.float32) / 32_767


def test_the_sound_of_each_sentence_is_sent_once_and_whole(tone):
    trace, events = told(Talker(tone("one two three")))
    names = [event["response"]["id"] for event in of(events, "response.created")]
    assert len(names) == len(set(names)) == 2
    both = np.concatenate([sound(events, name) for name in names])
    start = round(of(events, "response.created")[0]["t"] * 24_000)
    assert np.abs(both - trace.voice.samples[start : start + len(both)]).max() < 1e-4
    assert len(both) == pytest.approx(2.4 * 24_000, abs=2)
    assert [event["response"]["status"] for event in of(events, "response.done")] == ["completed"] * 2


def test_of_a_sentence_that_is_cut_the_rest_is_not_sent_and_the_record_says_what_was_heard(tone):
    _, events = told(Talker(tone("one two three"), hushes=8))
    first, *rest = of(events, "response.created")
    assert not rest
    done = of(events, "response.audio_transcript.done")
    assert [(event["transcript"], event["heard"]) for event in done] == [("one two three", "one two")]
    assert of(events, "response.done")[0]["response"]["status"] == "cancelled"
    assert len(sound(events, first["response"]["id"])) == pytest.approx(1.0 * 24_000, abs=0.05 * 24_000)
    assert of(events, "output_audio_buffer.cleared")


def test_a_transcript_brings_the_time_of_each_word(tone):
    _, events = told(Talker(tone("one two")))
    delta = of(events, "response.audio_transcript.delta")[0]
    assert delta["words"] == [["one", 0.3], ["two", 0.7]]
