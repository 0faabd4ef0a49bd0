"""Nested frozen configurations: every configurable class holds a `Config` that builds it.

The rule is checked when the class is defined, so a mutable or positional Config never reaches a run. The idea of a
class that nests its own keyword-only configuration is torchtitan's.

    class Mixer(Configurable):
        @dataclass(frozen=True, kw_only=True)
        class Config(BaseConfig):
            rate: int = 22_050

        def __init__(self, config: Config): ...

    mixer = Mixer.Config(rate=16_000).build()
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

from stretto.core.errors import StrettoError, unknown


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Base of all configurations. `build` makes the object that it configures."""

    owner: ClassVar[type]

    def build(self, *args: Any, **kwargs: Any) -> Any:
        """The configured object; further arguments are handed to its constructor after the configuration."""
        return self.owner(self, *args, **kwargs)

    @classmethod
    def tiny(cls) -> Any:
        """The size that tests use. The default unless a class says otherwise."""
        return cls()


class Configurable:
    """A class whose nested `Config` is a frozen, keyword-only dataclass."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        config = cls.__dict__.get("Config")
        if config is None:
            return
        if not (isinstance(config, type) and issubclass(config, Config)):
            raise TypeError(f"{cls.__name__}.Config must derive from stretto.core.config.Config")
        params = config.__dict__.get("__dataclass_params__")
        if params is None or not params.frozen or not all(f.kw_only for f in dataclasses.fields(config)):
            raise TypeError(f"{cls.__name__}.Config must be a @dataclass(frozen=True, kw_only=True)")
        config.owner = cls


def check_shares(config: Config, *names: str) -> None:
    """Raises StrettoError when one of these fields is not between 0 and 1."""
    for name in names:
        if not 0 <= getattr(config, name) <= 1:
            raise StrettoError(f"Expected {type(config).__qualname__}.{name} as a share, got {getattr(config, name)}.")


def override(config: Any, assignments: list[str]) -> Any:
    """A copy of `config` with `a.b=value` assignments applied; values take the type of the field they replace.

    Raises StrettoError when a field does not exist (the nearest one is offered) or a value does not fit.
    """
    for assignment in assignments:
        path, sign, text = assignment.partition("=")
        if not sign:
            raise StrettoError(f"Expected FIELD=VALUE, got '{assignment}'.")
        config = _set(config, path.split("."), text, path)
    return config


def _set(config: Any, path: list[str], text: str, whole: str) -> Any:
    fields = {field.name for field in dataclasses.fields(config)}
    if path[0] not in fields:
        raise unknown(f"field of {type(config).__qualname__} in '{whole}'", path[0], fields)
    old = getattr(config, path[0])
    if len(path) > 1:
        if not dataclasses.is_dataclass(old):
            raise StrettoError(f"'{path[0]}' in '{whole}' has no fields of its own: it is {old!r}.")
        return dataclasses.replace(config, **{path[0]: _set(old, path[1:], text, whole)})
    return dataclasses.replace(config, **{path[0]: _parse(old, text, whole)})


def _parse(old: Any, text: str, whole: str) -> Any:
    if isinstance(old, bool):
        if text.lower() not in ("true", "false"):
            raise StrettoError(f"'{whole}' expects true or false, got '{text}'.")
        return text.lower() == "true"
    if isinstance(old, int | float):
        try:
            return type(old)(text)
        except ValueError as error:
            raise StrettoError(f"'{whole}' expects {type(old).__name__}, got '{text}'.") from error
    if isinstance(old, tuple):
        return tuple(_parse(old[0] if old else "", part.strip(), whole) for part in text.split(","))
    return text


def assignments(config: Any) -> list[str]:
    """What `override` needs to make `config` from its class's defaults: one `a.b=value` for each field that differs.

    Raises StrettoError where a value cannot be written in that form.
    """
    return list(_differences(config, type(config)(), ""))


def _differences(config: Any, default: Any, above: str) -> Iterator[str]:
    for field in dataclasses.fields(config):
        path, new, old = above + field.name, getattr(config, field.name), getattr(default, field.name)
        if new == old:
            continue
        if type(new) is not type(old) or not (
            dataclasses.is_dataclass(new) or isinstance(new, bool | int | float | str)
        ):
            raise StrettoError(f"'{path}' cannot be written as FIELD=VALUE: it is {new!r}.")
        if dataclasses.is_dataclass(new):
            yield from _differences(new, old, f"{path}.")
        else:
            yield f"{path}={str(new).lower() if isinstance(new, bool) else new}"
