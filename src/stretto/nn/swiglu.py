"""The gated feed-forward of Llama: down(silu(gate(x)) · up(x)), gate and up in one matrix (Shazeer, 2020)."""

from jaxtyping import Float
from torch import Tensor, nn


class SwiGLU(nn.Module):
    """`gate_up` holds the rows of gate, then those of up; no biases."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Float[Tensor, "... width"], *plain: int) -> Float[Tensor, "... width"]:
        """Token by token. `plain`: of matrices with adapters, how many of the first tokens go without them."""
        gate, up = self.gate_up(x, *plain).chunk(2, dim=-1)
        return self.down(nn.functional.silu(gate) * up, *plain)
