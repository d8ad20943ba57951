"""The only source of randomness: a draw is addressed by seed and purpose, and nothing keeps a generator."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager

import torch


def stream(seed: int, *purpose: str | int) -> torch.Generator:
    """A fresh CPU generator for one purpose, independent of every other address.

    Args:
        seed: the recipe's seed.
        purpose: the address of the draw, for example `"batch", epoch` or `"mixing", step`.

    Returns:
        A generator in a state that depends on the address alone, so that a resumed run has nothing to restore and a
        new purpose never shifts the draws of an old one. Of a seed torch keeps 32 bits: two of n addresses share
        their draws with a probability of about n² / 2³³.
    """
    address = "\x1f".join(f"{type(part).__name__}:{part}" for part in (seed, *purpose))
    digest = hashlib.blake2b(address.encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little", signed=False) >> 1)


@contextmanager
def drawing_from(seed: int, *purpose: str | int) -> Generator[None]:
    """Within it torch's own CPU generator, which the initial weights of a module are drawn from, follows this address.

    Afterwards it stands where it stood. The generators of other devices are left alone, so weights are to be made on
    the CPU.

    Args:
        seed: the recipe's seed.
        purpose: the address of the draws, as of `stream`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream(seed, *purpose).initial_seed())
        yield
