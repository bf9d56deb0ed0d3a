"""The ground truth, written as it happens: who is in which profile, and every episode."""

import numpy as np
import numpy.typing as npt

from sim.agents.base import Level
from sim.agents.chain import NOMINAL_INDEX
from sim.model.episodes import Episode
from sim.model.facility import Facility
from sim.plant.drivers import ProfileChange

NO_EPISODE = -1


class AssetTruth:
    """What is true now of one kind of asset: profile and number of the episode, NO_EPISODE while nominal."""

    def __init__(self, assets: tuple[str, ...]) -> None:
        self.assets = assets
        self.profile: npt.NDArray[np.int8] = np.zeros(len(assets), dtype=np.int8)
        self.episode: npt.NDArray[np.int32] = np.full(len(assets), NO_EPISODE, dtype=np.int32)


class TruthLog:
    """Keeps what is true now, every episode until it is handed out, and the racks' changes for the plant."""

    def __init__(self, facility: Facility) -> None:
        self.racks = AssetTruth(facility.racks)
        self.rows = AssetTruth(tuple(f"row:{row}" for row in facility.rows))
        self.loops = AssetTruth(facility.loops)
        self._changes: list[ProfileChange] = []
        # what each rack's agents lead it to and why, which an override hides but does not stop
        self._regimes: list[tuple[int, Episode | None]] = [(NOMINAL_INDEX, None)] * len(facility.racks)
        self._overridden: set[int] = set()
        self._episodes: dict[int, Episode] = {}
        self._ordinals: dict[str, int] = {}
        self._count = 0

    def rack_enters(self, time_s: float, rack: int, profile: int, cause: Episode | None) -> None:
        """Note a rack's profile (see TruthObserver)."""
        self._changes.append(ProfileChange(time_s, rack, self._regimes[rack][0], profile))
        self._regimes[rack] = profile, cause
        if rack not in self._overridden:
            self._turn(self.racks, rack, profile, time_s, cause)
        if cause is not None:
            cause.racks.add(self.racks.assets[rack])

    def rack_is_overridden(self, time_s: float, rack: int, profile: int, incident: str) -> None:
        """Note that an incident's heat or cold puts a rack in a profile, over what its agents lead it to."""
        self._overridden.add(rack)
        if int(self.racks.profile[rack]) != profile:
            self._turn(self.racks, rack, profile, time_s, None, incident)

    def rack_is_released(self, time_s: float, rack: int) -> None:
        """Note that a rack is back where its agents lead it."""
        self._overridden.discard(rack)
        profile, cause = self._regimes[rack]
        if int(self.racks.profile[rack]) != profile:
            self._turn(self.racks, rack, profile, time_s, cause)

    def group_enters(self, level: Level, time_s: float, index: int, profile: int) -> Episode | None:
        """Note a row's or loop's profile (see TruthObserver)."""
        return self._turn(self.rows if level is Level.ROW else self.loops, index, profile, time_s, None)

    def _turn(
        self,
        truth: AssetTruth,
        index: int,
        profile: int,
        time_s: float,
        cause: Episode | None,
        incident: str | None = None,
    ) -> Episode | None:
        """End the asset's episode, if one lasts, and begin the next unless it is nominal now."""
        ended = self._episodes.get(int(truth.episode[index]))
        if ended:
            ended.end_s = time_s
        truth.profile[index] = profile
        truth.episode[index] = NO_EPISODE
        if profile == NOMINAL_INDEX:
            return None
        asset = truth.assets[index]
        ordinal = self._ordinals[asset] = self._ordinals.get(asset, 0) + 1
        episode = Episode(self._count, asset, ordinal, profile, time_s, cause, incident)
        self._episodes[self._count] = episode
        truth.episode[index] = self._count
        self._count += 1
        return episode

    def take_changes(self) -> list[ProfileChange]:
        """Return the racks' changes since the last call."""
        changes, self._changes = self._changes, []
        return changes

    def kept(self) -> dict[int, Episode]:
        """Return the episodes that have not been handed out, by number."""
        return self._episodes

    def hand_out(self, before_s: float) -> list[Episode]:
        """Return and forget the episodes that ended before a time [s], in order of their end.

        By their end, so that the order over a run does not depend on how often this is called.
        """
        ended = [(e.end_s, e.number, e) for e in self._episodes.values() if e.end_s is not None and e.end_s < before_s]
        done = [episode for _, _, episode in sorted(ended)]
        for episode in done:
            del self._episodes[episode.number]
        return done
