"""When Python's garbage collector rests."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Collect nothing meanwhile: where many objects are made that stay, it would walk all of them again and again."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            if not gc.get_freeze_count():  # else the two would also wake what somebody froze
                gc.freeze()
                gc.unfreeze()
            gc.enable()
