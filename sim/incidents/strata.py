"""Latin hypercube samples: so many points that each part of every dimension's range has one of them.

Source: McKay, Beckman & Conover, "A Comparison of Three Methods for Selecting Values of Input Variables" (1979).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from sim.common.streams import Streams
from sim.incidents.observed import Array


def latin_hypercube(streams: Streams, name: Sequence[str], count: int, dimensions: int) -> Iterator[Array]:
    """Yield `count` points, (dimensions,) each of 0..1; of every dimension each of `count` equal parts holds one.

    Which part a point lies in comes from a stream of this name, where it lies in its part from a stream of its own.
    """
    dealing = streams.stream(*name, "strata")
    parts = np.array([dealing.permutation(count) for _ in range(dimensions)])
    for number in range(count):
        within = streams.stream(*name, str(number + 1)).random(dimensions)
        yield (parts[:, number] + within) / count
