"""Log-mel features as Whisper's, with a fixed ceiling in place of the clip's maximum.

80 bands, a Hann window of 25 ms every 10 ms at 16 kHz, powers on a log10 scale, everything more than 8 (80 dB) below a
ceiling raised to there, then (x + 4) / 4. Whisper's ceiling is the maximum of the whole clip: a loud word at its end
changes features at its beginning, which no live ear can know. Ours is the constant `CEILING`. Nothing is cut off above
it: louder sound gives larger features, as a louder clip does in Whisper.

The constant was measured: over 65 sentences of the 12 speakers of data/voices.py at their level of -22 dBFS the clip's
maximum has the median 0.96 and lies between 0.7 and 1.5 (Piper "joe": median 1.1). For sound 10 dB softer the floor
lies 70 dB below its maximum instead of 80, for louder sound deeper.

Source: Radford et al. 2022 (Whisper); Slaney 1998 (the mel scale). Needs: torch. Does not know windows or ticks: the
first and last frame of what it is given mirror the sound at its edges.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stretto.core.signals import HEARING_RATE
from stretto.listen import slaney

BANDS = 80
HOP = 160
"""Samples from one frame to the next: 10 ms."""

CEILING = 1.0
"""The log10 mel power that stands for the loudest moment of speech."""

_WINDOW = 400
_RANGE = 8.0
_LEAST = 1e-10


class LogMel(nn.Module):
    """Samples to log-mel features. `ceiling` None takes each clip's own maximum, as Whisper does: not causal.

    Computes in float32 whatever the module's type: powers span ten decades.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, ceiling: float | None = CEILING):
        super().__init__()
        self.ceiling = ceiling
        self.register_buffer("window", torch.hann_window(_WINDOW), persistent=False)
        self.register_buffer("filters", mel_filters(), persistent=False)

    def forward(self, samples: Float[Tensor, "clips samples"]) -> Float[Tensor, "clips 80 frames"]:
        """Features of clips at 16 kHz, one frame per 160 samples; frame k is centred on sample 160 k."""
        window, filters = self.window.float(), self.filters.float()
        spectrum = torch.stft(samples, _WINDOW, HOP, window=window, center=True, return_complex=True)[..., :-1]
        power = spectrum.real.square() + spectrum.imag.square()
        scaled = (filters @ power).clamp(min=_LEAST).log10()
        if self.ceiling is None:
            scaled = torch.maximum(scaled, scaled.amax((-2, -1), keepdim=True) - _RANGE)
        else:
            scaled = scaled.clamp(min=self.ceiling - _RANGE)
        return (scaled + 4) / 4


def mel_filters() -> Float[Tensor, "80 201"]:
    """Triangles over the FFT's bins, equally spaced in Slaney's mel from 0 Hz to 8 kHz, each of area 1 (in Hz)."""
    return torch.from_numpy(slaney.bank(BANDS, 0.0, HEARING_RATE / 2, _WINDOW).T).float()
