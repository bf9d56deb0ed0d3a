"""An episode: one stay of a rack, row or loop in a non-nominal profile."""

from dataclasses import dataclass, field

PERSISTENT_S = 360.0
"""An episode this long is a persistent anomaly."""

SETTLED_S = 900.0
"""A rack this long in a profile counts as settled in it; assumed: about three of its air's time constants."""


@dataclass(slots=True, eq=False)
class Episode:
    """One stay of an asset in a non-nominal profile.

    ordinal: how many the asset has had. profile: by index. start_s, end_s: in seconds of the run; end_s is None while
    it lasts. cause: the row's or loop's episode that brought it. incident: id of the one whose heat or cold did.
    ticks: in how many ticks it is seen. racks: for a
    row or loop, the racks that took part.
    """

    number: int
    asset: str
    ordinal: int
    profile: int
    start_s: float
    cause: "Episode | None" = None
    incident: str | None = None
    end_s: float | None = None
    ticks: int = 0
    racks: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """The episode's id in files: the asset and how many it has had, so that no sampling changes it."""
        return f"{self.asset}#{self.ordinal}"

    def lasts_s(self, now_s: float) -> float:
        """Return how long it has lasted at a time [s]."""
        return (now_s if self.end_s is None else self.end_s) - self.start_s
