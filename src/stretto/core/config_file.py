"""Configurations as JSON and back: each dataclass says which class it is, so a file rebuilds what wrote it.

    {"is": "stretto.think.expert:ExpertConfig", "depth": 2, "width": 16, …}

Sequences are tuples, because a Config is frozen. A field that the file lacks takes its default; one that the class
lacks is an error. Reading makes frozen dataclasses only, of Stretto or of a module that is imported already: a file
from elsewhere runs no code that was not running.
"""

import dataclasses
import importlib
import sys
from collections.abc import Mapping
from typing import Any

from stretto.core.errors import StrettoError, unknown

PACKAGE = "stretto."
PLAIN = (bool, int, float, str)


def to_json(config: Any) -> Any:
    """A configuration as plain data for `json.dumps`. Raises StrettoError for a value that has no such form."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        kind = type(config)
        fields = {field.name: to_json(getattr(config, field.name)) for field in dataclasses.fields(config)}
        return {"is": f"{kind.__module__}:{kind.__qualname__}", **fields}
    if isinstance(config, Mapping) and "is" not in config and all(isinstance(key, str) for key in config):
        return {key: to_json(value) for key, value in config.items()}
    if isinstance(config, tuple):
        return [to_json(value) for value in config]
    if config is None or type(config) in PLAIN:
        return config
    raise StrettoError(
        f"Expected numbers, text, tuples, mappings by name and dataclasses in a configuration that is written to a "
        f"file, got {config!r} of {type(config).__name__}."
    )


def from_json(data: Any, where: str = "the configuration") -> Any:
    """What `to_json` wrote. `where` names the file in errors.

    Raises StrettoError for a class that is not there or not a frozen dataclass, an unknown field, and a number, text
    or truth value of another type than its field's.
    """
    if isinstance(data, list):
        return tuple(from_json(value, where) for value in data)
    if not isinstance(data, Mapping):
        return data
    values = {name: from_json(value, where) for name, value in data.items() if name != "is"}
    if "is" not in data:
        return values
    kind = _kind(data["is"], where)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, value in values.items():
        if name not in fields:
            raise unknown(f"field of {kind.__qualname__} in {where}", name, fields)
        _check(fields[name], value, f"{kind.__qualname__}.{name} in {where}")
    try:
        return kind(**values)
    except TypeError as error:
        raise StrettoError(f"{kind.__qualname__} in {where} cannot be made: {error}.") from error


def _kind(name: Any, where: str) -> Any:
    """The class behind `module:Class.Config`."""
    module, _, path = str(name).partition(":")
    if not module.startswith(PACKAGE) and module not in sys.modules:
        raise StrettoError(
            f"{where} names {name!r}, which is not of Stretto. If you know and trust it, import {module} first."
        )
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise StrettoError(
            f"{where} names {name!r}, which is not there ({error}). It was written by another version of Stretto: use "
            f"that one."
        ) from error
    params = getattr(found, "__dataclass_params__", None)
    if not isinstance(found, type) or params is None or not params.frozen:
        raise StrettoError(f"{where} names {name!r}; expected a configuration, which is a frozen dataclass.")
    return found


def _check(field: dataclasses.Field, value: Any, where: str) -> None:
    """Fields of plain types hold that type; a whole number may stand for a float."""
    if field.type not in PLAIN or type(value) is field.type:
        return
    if field.type is float and type(value) is int:
        return
    raise StrettoError(f"Expected {where} to be of type {getattr(field.type, '__name__', '')}, got {value!r}.")
