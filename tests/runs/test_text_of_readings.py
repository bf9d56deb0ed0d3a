"""Readings as text: the digits do not depend on how often a value occurs."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from sim.engine.blocks import Telemetry
from sim.model.channels import CHANNELS, TELEMETRY_CHANNELS
from sim.model.profiles import shipped_profiles
from sim.runs.tables import Tables

RACKS = ("R-A-01", "R-A-02")


@pytest.mark.parametrize("span", [40, 4_000_000])
def test_a_reading_has_its_channels_decimals_whether_its_text_is_shared_or_its_own(span):
    values = np.random.default_rng(0).integers(-20, span, (200, len(RACKS)))
    tables = Tables(
        datetime(2025, 1, 6, tzinfo=UTC),
        60,
        RACKS,
        np.zeros(2, dtype=np.intp),
        np.zeros(2, dtype=np.intp),
        list(shipped_profiles().values()),
    )
    table = tables.decimals(Telemetry(0, dict.fromkeys(TELEMETRY_CHANNELS, values), {"inlet_c": values.astype(float)}))
    for name, channel in ((name, CHANNELS[name]) for name in TELEMETRY_CHANNELS):
        expected = [str(Decimal(v).scaleb(-channel.decimals)) for v in values.reshape(-1).tolist()]
        assert table[name].cast(pa.string()).to_pylist() == expected
        assert pa.types.is_dictionary(table[name].type) == (span < 100 and channel.decimals > 0)
    assert table["ts"].cast(pa.string()).to_pylist()[:3] == ["2025-01-06T00:00:00Z"] * 2 + ["2025-01-06T00:01:00Z"]
