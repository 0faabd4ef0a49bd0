"""The page in a real browser: spoken to through its microphone, listened to at its loudspeaker, stopped by both ways.

Chromium's fake microphone plays a file from its beginning each time it is opened, so what is said next is put there
while it is closed. Every wait is for something to have happened.
"""

import base64
import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rapidfuzz import fuzz

from stretto.core.signals import Sound
from stretto.core.sound import resample, write_sound
from stretto.data.voices import speaker
from stretto.listen.whisper import Whisper
from web_client import serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
QUIET = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
PATIENCE_MS = 300_000
INSTRUCTION = "Open the top drawer and put the bowl inside."

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium"),
]

TAP = """() => {
  const { context, mouth } = stretto.sound;
  const tap = new AudioWorkletNode(context, "stretto-ear", { numberOfOutputs: 0 });
  window.captured = [];
  tap.port.onmessage = ({ data }) => window.captured.push(...new Int16Array(data.pcm));
  mouth.connect(tap);
}"""

CAPTURED = """() => {
  const bytes = new Uint8Array(Int16Array.from(window.captured).buffer);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}"""

MOVES = "() => stretto.score.steps.slice(-10).some(([, speed, zero]) => !zero && speed > 0.02)"
STANDS = "() => { const last = stretto.score.steps.slice(-20); return last.length === 20 && last.every((s) => s[2]); }"


def say(text, path, after=60.0):
    """Write a sentence as the file that the microphone plays: a second of silence, the words, more silence."""
    sound = speaker("festival-slt").speak(text).sound
    words = 0.8 * resample(sound.samples, sound.rate, 48_000)
    silence = np.zeros(round(after * 48_000), np.float32)
    return write_sound(path, Sound(samples=np.concatenate([silence[:48_000], words, silence]), rate=48_000))


@contextlib.contextmanager
def browser(*flags):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *QUIET, *flags])
        try:
            yield opened
        finally:
            opened.close()


@contextlib.contextmanager
def stretto_serve():
    """`stretto serve` with LIBERO and the cascade; gives the address it printed."""
    command = [sys.executable, "-m", "stretto.cli.main", "serve", "--port", "0", "--task", "libero_goal:3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "MUJOCO_GL": "egl"}) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            address = re.search(r"http://\S+", line)
            assert address, line
            yield address[0]
        finally:
            server.terminate()
            server.wait(30)


def watched(page, complaints):
    """All that the page's console complains of."""
    page.set_default_timeout(PATIENCE_MS)
    page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page


def words(text):
    return re.sub(r"[^a-z ]", "", text.lower())


def test_a_person_speaks_is_answered_and_stops_the_arm_by_voice_and_by_the_button(tmp_path):
    spoken, stop = say(INSTRUCTION, tmp_path / "instruction.wav"), say("Stop!", tmp_path / "stop.wav")
    microphone = Path(shutil.copy(spoken, tmp_path / "microphone.wav"))
    complaints: list[str] = []
    fake = [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}%noloop",
    ]
    with stretto_serve() as address, browser(*fake) as chromium:
        context = chromium.new_context(permissions=["microphone"])
        page = watched(context.new_page(), complaints)
        page.goto(address)
        page.wait_for_selector('body[data-state="running"]')

        page.click("#mic")
        page.wait_for_function("() => stretto.sound.ear && stretto.sound.mouth")
        page.evaluate(TAP)
        page.wait_for_selector(".lines .you")
        page.wait_for_function(MOVES)
        page.wait_for_selector(".lines .robot .word.heard:last-of-type")
        answer = page.inner_text(".lines .robot .what")
        page.wait_for_function("() => !document.querySelector('.lines .robot .word:not(.heard)')")
        heard = np.frombuffer(base64.b64decode(page.evaluate(CAPTURED)), "<i2").astype(np.float32) / 32_768
        understood = Whisper.Config().build().recognise(Sound(samples=heard, rate=16_000))
        assert fuzz.ratio(words(understood), words(answer)) > 75, (understood, answer)
        assert "drawer" in answer

        page.click("#mic")
        shutil.copy(stop, microphone)
        page.click("#mic")
        page.wait_for_selector(".lines .halt")
        page.wait_for_function(STANDS)
        page.click("#mic")

        page.fill("#line", "put the bowl on the stove")
        page.press("#line", "Enter")
        page.wait_for_function(MOVES)
        page.click("#stop")
        page.wait_for_selector("#held:not([hidden])")
        page.wait_for_function(STANDS)
        assert "by the button" in page.locator(".lines .halt").last.inner_text()
        reload_and_second_tab(page, watched(context.new_page(), complaints), address)
    assert not complaints


def reload_and_second_tab(page, second, address):
    """The second tab watches and may stop; a reload owns the robot again, and the button stays pressed."""
    second.goto(address)
    second.wait_for_selector('body[data-role="watcher"]')
    assert second.is_disabled("#line")
    assert second.is_disabled("#mic")
    assert second.is_enabled("#stop")
    second.evaluate("stretto.sound.dispatchEvent(new CustomEvent('played', { detail: 1 }))")
    page.reload()
    page.wait_for_selector('body[data-role="owner"][data-held]')
    second.wait_for_selector('body[data-role="watcher"]')
    page.click("#release")
    page.wait_for_selector("body:not([data-held])")
    second.keyboard.press("Escape")
    page.wait_for_selector("#held:not([hidden])")
    second.wait_for_selector("#held:not([hidden])")
    assert "You may watch" in second.inner_text("#notice"), "a watcher that hears the robot is told off"
    page.close()
    second.click("#notice-act")
    second.wait_for_selector('body[data-role="owner"]')


NONE = (["microphone"], [], "There is none")
REFUSED = ([], ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream=deny"], "was told not to")


@pytest.mark.parametrize(("granted", "flags", "why"), [NONE, REFUSED], ids=["none", "refused"])
def test_without_a_microphone_the_page_says_so_and_one_can_type(granted, flags, why):
    complaints: list[str] = []
    with serving() as (hub, url), browser(*flags) as chromium:
        page = watched(chromium.new_context(permissions=granted).new_page(), complaints)
        page.goto(url.replace("ws:", "http:").removesuffix("v1/realtime"))
        page.wait_for_selector('body[data-role="owner"]')
        page.click("#mic")
        page.wait_for_function("() => document.querySelector('#notice-text').textContent.includes('No microphone')")
        assert why in page.inner_text("#notice-text")
        assert page.get_attribute("#mic", "aria-pressed") == "false"
        page.fill("#line", "go left")
        page.press("#line", "Enter")
        page.press("body", "Escape")
        page.wait_for_selector("#held:not([hidden])")
    assert ("type", "go left") in hub.robot.told
    assert ("halt", "stop_button") in hub.robot.told
    assert not complaints
