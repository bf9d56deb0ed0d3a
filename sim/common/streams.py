"""One named random stream per consumer, so that no consumer's draws depend on another's."""

import hashlib

import numpy as np


class Streams:
    """Issues each named stream once.

    The name's SHA-256 gives 128 bits of spawn key, so a stream depends on the seed and its own name only: racks added
    to a hall, or a sampler that draws more, shift nobody else's draws.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._issued: set[tuple[str, ...]] = set()

    def stream(self, *name: str) -> np.random.Generator:
        """Return the generator of this name. Raises ValueError when it was issued before."""
        if name in self._issued:
            raise ValueError(f"the random stream {'/'.join(name)} was issued before")
        self._issued.add(name)
        # NUL parts cannot occur in a name, so ("a", "b/c") and ("a/b", "c") differ
        digest = hashlib.sha256("\0".join(name).encode()).digest()[:16]
        key = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
        return np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(self._seed, spawn_key=key)))


def derived_seed(seed: int, name: str) -> int:
    """Return a seed below 2**32 that depends on `seed` and `name` and differs for each name."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    return int.from_bytes(digest[:4], "little")
