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
