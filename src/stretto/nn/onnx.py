"""A network of a package's ONNX file, on few threads of the CPU, quiet about what it cannot use.

Needs: onnxruntime. Does not know what the network is for.
"""

from pathlib import Path
from typing import Any

import onnxruntime


def onnx_session(model: Path | str | bytes, threads: int = 1) -> Any:
    """A session of a file or of its bytes. Raises onnxruntime's own errors for what is no model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def with_output(model: bytes, name: str) -> bytes:
    """The model with one of its inner values as a further output, by its name (at most 100 ASCII letters).

    What is appended is a serialised ModelProto { graph { output { name } } }, which protobuf merges with the model.
    """
    value = b"\x0a" + bytes([len(name)]) + name.encode()
    graph = b"\x62" + bytes([len(value)]) + value
    return model + b"\x3a" + bytes([len(graph)]) + graph
