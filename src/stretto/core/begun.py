"""A folder that is filled in several runs belongs to the settings it was begun with.

    same_settings(folder / "settings.json", {"seed": 0, "hours": 9.0}, f"'{folder}'")

The first run writes them; a later one with others is refused by name and value, before anything is mixed.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stretto.core.errors import StrettoError


def same_settings(file: Path, now: Mapping[str, Any], what: str) -> bool:
    """Whether the settings stood in `file` already; if not they are written. Values are plain data.

    Raises StrettoError when other ones stand there; `what` is the thing that was begun with them.
    """
    now = json.loads(json.dumps(now))
    if not file.exists():
        beside = file.with_name(f".{file.name}.{os.getpid()}.part")
        beside.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
        os.replace(beside, file)
        return False
    there = json.loads(file.read_text(encoding="utf-8"))
    names = [*now, *(name for name in there if name not in now)]
    differ = [name for name in names if there.get(name) != now.get(name)]
    if differ:
        told = ", ".join(f"{name} {there.get(name)!r} (now {now.get(name)!r})" for name in differ)
        raise StrettoError(f"{what} was begun with other settings: {told}. Give another name, or delete it.")
    return True
