"""Which code made a card: commit, uncommitted changes, and a fingerprint that says when rows may be added to.

`results/` and `docs/` do not count as code: a card may be committed and then filled further. The fingerprint covers the
committed tree outside of them and, if there are any, the uncommitted changes, so rows of changed code never mix.
Needs git.
"""

import hashlib
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import stretto
from stretto.core.errors import StrettoError

NOT_CODE = ("results", "docs")
"""Folders whose changes do not make a card dirty."""


@dataclass(frozen=True, kw_only=True)
class Code:
    """The code of a run: `commit`, `dirty` (uncommitted changes outside results/ and docs/), `fingerprint`."""

    commit: str
    dirty: bool
    fingerprint: str


def read_code(root: Path | None = None) -> Code:
    """The code in the checkout at `root` (default: the checkout that this package runs from).

    Raises StrettoError when that is not a git checkout with at least one commit.
    """
    root = root or package_root()
    commit = _git(root, "rev-parse", "HEAD").strip()
    outside = [".", *(f":(exclude,top){name}" for name in NOT_CODE)]
    status = _git(root, "status", "--porcelain", "-z", "--untracked-files=all", "--", *outside)
    digest = hashlib.blake2b(digest_size=12)
    for line in _git(root, "ls-tree", "-r", "--full-tree", "HEAD").splitlines():
        if not line.partition("\t")[2].startswith(tuple(f"{name}/" for name in NOT_CODE)):
            digest.update(line.encode() + b"\n")
    if status:
        digest.update(_git(root, "diff", "--binary", "HEAD", "--", *outside).encode())
        for entry in status.split("\0"):
            if entry.startswith("?? "):
                digest.update(entry.encode() + _bytes(root / entry[3:]))
    return Code(commit=commit, dirty=bool(status), fingerprint=digest.hexdigest())


def package_root() -> Path:
    """The top of the git checkout that holds this package. Raises StrettoError when the package is a plain copy."""
    folder = Path(stretto.__file__).resolve().parent
    _git(folder, "ls-files", "--error-unmatch", "__init__.py")
    return Path(_git(folder, "rev-parse", "--show-toplevel").strip())


def hardware() -> str:
    """One line on the machine: processor, cores this process may use, memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise StrettoError(f"A card records its commit, which needs git: {error}.") from error
    if done.returncode:
        raise StrettoError(
            f"A card records the commit of its code, but {folder} is not in a git checkout of Stretto with a commit "
            f"(git {arguments[0]}: {done.stderr.strip() or 'failed'}). Clone the repository, install it with "
            "`pip install --no-deps -e .` and run the benchmark from there."
        )
    return done.stdout
