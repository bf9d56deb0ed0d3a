"""How many examples property tests try."""

from hypothesis import settings

BY_DAY, BY_NIGHT = 100, 1000


def examples(count, **others):
    """Return settings for so many examples by day, and ten times as many under the profile `nightly`."""
    return settings(max_examples=count * settings().max_examples // BY_DAY, **others)
