"""Examples in the order of their file, so that a curriculum is possible in verl's SFT trainer.

verl always shuffles (`trainer/sft_trainer.py`, `DistributedSampler(shuffle=True)`), with the permutation that
torch derives from the sampler's seed (0) and the epoch. Handing the sampler the examples through the inverse
of the first epoch's permutation brings them back in file order; later epochs are shuffled as ever.
"""

from __future__ import annotations

import torch


def unshuffled(length: int, seed: int = 0) -> list[int]:
    """`order` such that the examples `order[i]`, through verl's sampler, come in the order of the file.

    Args:
        length: number of examples.
        seed: of `torch.utils.data.DistributedSampler`; verl leaves it at 0.
    """
    generator = torch.Generator().manual_seed(seed)
    asked = torch.randperm(length, generator=generator)
    return torch.argsort(asked).tolist()
