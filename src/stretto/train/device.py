"""Device and precision, chosen once, with the reason in words."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Device:
    """Where and how to compute: `low` is the type of matrix products under `products()`, None the weights' own."""

    name: str
    low: torch.dtype | None
    why: str

    def products(self) -> AbstractContextManager:
        """Inside, matrix products run in `low`."""
        return torch.autocast(self.name, self.low) if self.low is not None else nullcontext()

    def parts(self, size: int, threads: int) -> int:
        """In how many equal parts, each in a thread, a batch of `size` is computed at once; sets torch's own threads.

        On a CPU small networks gain more from parts than from threads inside their products.
        """
        torch.set_num_threads(1 if self.name == "cpu" else threads)
        return threads if self.name == "cpu" and size % threads == 0 else 1


FAST = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16"}
"""What a CPU needs for fast products in bfloat16, as torch calls it, and in words."""


def choose() -> Device:
    """bfloat16 products (float32 weights) on a GPU or a CPU that multiplies them fast: layers forth and back take half
    as long with AVX512-BF16, a tenth with AMX; else the CPU in float32."""
    if torch.cuda.is_available():
        return Device("cuda", torch.bfloat16, f"{torch.cuda.get_device_name()}: bfloat16 products, float32 weights")
    threads, able = torch.get_num_threads(), torch.cpu.get_capabilities()
    for name, words in FAST.items():
        if able.get(name):
            why = f"no GPU, but {words}: bfloat16 products, float32 weights; {threads} thread(s)"
            return Device("cpu", torch.bfloat16, why)
    why = f"no GPU: float32 on {threads} thread(s); bfloat16 products are slow without AMX or AVX512-BF16"
    return Device("cpu", None, why)
