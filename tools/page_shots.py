"""Screenshots of the page in use, for the docs: light, dark and phone. Run it on a machine that does nothing else.

    .venv/bin/python tools/page_shots.py docs/images

A person (festival's slt, through Chromium's fake microphone) gives a task, asks while the arm moves, stops it and lets
it go on. Needs chromium.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from stretto.core.signals import Sound
from stretto.core.sound import resample, write_sound
from stretto.data.voices import speaker

ARGS = ["--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
ARGS += ["--disable-sync", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
SPOKEN = "() => document.querySelectorAll('.lines .robot:last-child .word.heard').length > {}"


def say(text: str, path: Path) -> None:
    """Write what the microphone plays the next time it is opened: the sentence in silence."""
    sound = speaker("festival-slt").speak(text).sound
    words = resample(sound.samples, sound.rate, 48_000)
    silence = np.zeros(48_000, np.float32)
    write_sound(path, Sound(samples=np.concatenate([silence, 0.8 * words, *[silence] * 40]), rate=48_000))


def opened(browser: Browser, address: str, **size: object) -> Page:
    """The page in a window of its own, live."""
    context = browser.new_context(permissions=["microphone"], color_scheme="light", **size)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(180_000)
    page.goto(address)
    page.wait_for_selector('body[data-state="running"][data-role="owner"]')
    return page


def speak(page: Page, text: str, microphone: Path) -> None:
    """Say something into the microphone, which is open afterwards."""
    if page.get_attribute("#mic", "aria-pressed") == "true":
        page.click("#mic")
    say(text, microphone)
    page.click("#mic")
    page.evaluate("document.activeElement.blur()")


def desktop(browser: Browser, address: str, microphone: Path, folder: Path) -> None:
    """An instruction, a question while the arm moves (light); a stop by voice, and on (dark)."""
    page = opened(browser, address, viewport={"width": 1360, "height": 920})
    page.wait_for_timeout(4000)
    speak(page, "Open the top drawer and put the bowl inside.", microphone)
    page.wait_for_function(SPOKEN.format(5))
    speak(page, "What are you doing?", microphone)
    page.wait_for_function("() => document.querySelectorAll('.lines .robot').length > 1")
    page.wait_for_function(SPOKEN.format(5))
    page.screenshot(path=folder / "page-light.png")
    speak(page, "Stop!", microphone)
    page.wait_for_selector(".lines .halt")
    page.wait_for_timeout(2500)
    speak(page, "Go on.", microphone)
    page.wait_for_selector(".lines .arm:has-text('goes on')")
    page.wait_for_timeout(2500)
    page.keyboard.press("Escape")
    page.wait_for_selector("#held:not([hidden])")
    page.click("#theme")
    page.wait_for_timeout(800)
    page.screenshot(path=folder / "page-dark.png")
    page.click("#release")
    page.close()


def phone(browser: Browser, address: str, microphone: Path, folder: Path) -> None:
    """The same page in a hand."""
    page = opened(browser, address, viewport={"width": 390, "height": 844}, device_scale_factor=2, is_mobile=True)
    page.click("#reset")
    page.wait_for_selector('body[data-state="starting"]')
    page.wait_for_selector('body[data-state="running"]')
    page.wait_for_timeout(3000)
    speak(page, "Put the bowl on the plate.", microphone)
    page.wait_for_function(SPOKEN.format(5))
    page.wait_for_timeout(1500)
    page.screenshot(path=folder / "page-phone.png")


def main() -> None:
    """Start a server, take the pictures."""
    folder, chromium = Path(sys.argv[1]), shutil.which("chromium")
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        microphone = Path(scratch) / "microphone.wav"
        say("Hello.", microphone)
        fake = f"--use-file-for-fake-audio-capture={microphone}%noloop"
        command = [sys.executable, "-m", "stretto.cli.main", "serve", "--port", "0", "--task", "libero_goal:3"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found
            browser = playwright.chromium.launch(executable_path=chromium, args=[*ARGS, fake])
            desktop(browser, found[0], microphone, folder)
            phone(browser, found[0], microphone, folder)
            browser.close()
            server.terminate()


if __name__ == "__main__":
    main()
