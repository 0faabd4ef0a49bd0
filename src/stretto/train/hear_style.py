"""As if somebody else spoke somewhere else: channels of the ear with another session's mean and spread.

Few voices speak in training, and what is learned of them hangs on how each of them colours the ear's channels. So some
sessions are given statistics on the way to those of any other session with speech in it; what was said stays.

    features = restyled(batch.features, batch.words, sessions, 0.3, generator)

Source: MixStyle (Zhou et al. 2021). Needs: shards. Does not know the network.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stretto.train.hear_batches import Sessions


def restyled(
    features: Tensor, words: Sequence[Sequence[Any]], sessions: Sessions, share: float, generator: torch.Generator
) -> Tensor:
    """The features (sessions, time, channels) of a batch, a `share` of those with words restyled, each part of the way
    to a session that is drawn from all with words.
    """
    luck = torch.rand((3, len(features)), generator=generator, device=generator.device).cpu()
    chosen = torch.tensor([bool(said) for said in words]) & (luck[0] < share)
    if not chosen.any():
        return features
    others = [sessions.voiced[int(at * len(sessions.voiced))] for at in luck[1]]
    theirs = sessions.features(others).flatten(1, 2).to(features.device)
    return towards(features, theirs, torch.where(chosen, luck[2], 0.0).to(features.device))


def towards(features: Tensor, others: Tensor, way: Tensor) -> Tensor:
    """Features whose channels have a mean and a spread `way` (sessions,) between their own, 0, and the others', 1."""
    (spread, mean), (wide, centre) = (torch.std_mean(some, 1, keepdim=True) for some in (features, others))
    way = way[:, None, None]
    return (features - mean) * (spread.lerp(wide, way) / (spread + 1e-5)) + mean.lerp(centre, way)
