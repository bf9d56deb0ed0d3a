"""One named random stream per consumer, so that no consumer's draws depend on another's."""

import hashlib
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from numpy.random.bit_generator import ISeedSequence


class _Digest(ISeedSequence):
    """The 256 bits of a SHA-256 as a generator's first state, of which PCG64 takes all.

    NumPy's own SeedSequence, which mixes seeds of few bits, takes seven times as long and 18 kB a stream.
    """

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> npt.NDArray[Any]:
        """Return its bits as so many words of a type."""
        return np.frombuffer(self._digest, np.dtype(dtype).newbyteorder("<"), n_words)


class Streams:
    """Issues each named stream once.

    A stream begins in the SHA-256 of the seed and its own name: racks added to a hall, or a sampler that draws more,
    shift nobody else's draws.
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
        digest = hashlib.sha256("\0".join((str(self._seed), *name)).encode()).digest()
        return np.random.Generator(np.random.PCG64DXSM(cast("np.random.SeedSequence", _Digest(digest))))


def derived_seed(seed: int, name: str) -> int:
    """Return a seed below 2**32 that depends on `seed` and `name` and differs for each name."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    return int.from_bytes(digest[:4], "little")
