"""Reads variables out of a CTranslate2 model file into torch.

The file is a flat list. Header: version (uint32), name, revision (uint32), number of variables (uint32). A variable:
name, rank (byte), one uint32 a dimension, type (byte), number of bytes (uint32), the bytes. A string is its length
(uint16) and its characters, the last of them NUL. All little-endian.

Source: CTranslate2's model format, version 6. Needs: numpy, torch. Does not know what the variables mean.
"""

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from stretto.core.errors import StrettoError

_VERSION = 6
_TYPES: tuple[Any, ...] = (np.float32, np.int8, np.int16, np.int32, np.float16)


def read_variables(file: Path, prefix: str) -> dict[str, Tensor]:
    """The variables whose names begin with `prefix`, without it; floating point as float32.

    Raises StrettoError when the file is of another version, of another kind, or cut short.
    """
    found = {}
    with file.open("rb") as stream:
        try:
            version, _, _, count = _number(stream, "I"), _string(stream), _number(stream, "I"), _number(stream, "I")
            if version != _VERSION:
                raise StrettoError(f"Expected a CTranslate2 model of version {_VERSION}, got {version}, in {file}.")
            for _ in range(count):
                name, variable = _string(stream), _variable(stream)
                if name.startswith(prefix):
                    found[name.removeprefix(prefix)] = variable
        except StrettoError:
            raise
        except (struct.error, IndexError, ValueError) as error:
            raise StrettoError(
                f"Expected a CTranslate2 model in {file}, but up to byte {stream.tell()} it is cut short or something "
                "else. Install its package again."
            ) from error
    return found


def _number(stream: BinaryIO, kind: str) -> int:
    return struct.unpack(f"<{kind}", stream.read(struct.calcsize(kind)))[0]


def _string(stream: BinaryIO) -> str:
    return stream.read(_number(stream, "H"))[:-1].decode()


def _variable(stream: BinaryIO) -> Tensor:
    """One variable, behind its name."""
    shape = [_number(stream, "I") for _ in range(_number(stream, "B"))]
    kind = np.dtype(_TYPES[_number(stream, "B")])
    values = np.frombuffer(stream.read(_number(stream, "I")), kind).reshape(shape)
    return torch.from_numpy(values.astype(np.float32 if kind.kind == "f" else kind))
