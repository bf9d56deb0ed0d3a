"""Any telemetry in our columns gets a report, or one message."""

import json
import re
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sim.common.errors import InputError
from sim.model.channels import CHANNELS
from sim.reports.page import report
from sim.reports.recorded import read_recorded

NAMES = st.sampled_from(["R-A-01", "R-A-02", "R-B-01", "7", "a,b", "</script>", "é", " "])
VALUES = st.one_of(st.floats(-1e12, 1e12), st.sampled_from([float("nan"), float("inf"), 0.0, 100.0]))
PROFILES = st.sampled_from(["nominal", "thermal_event", "of_theirs", None])

ONE = pd.DataFrame({"ts": pd.to_datetime(["2025-01-06T00:00Z", "2025-01-06T00:01Z"], utc=True), "rack_id": "R-A-01"})


@st.composite
def telemetry(draw):
    """Draw rows of a few racks in any order, some of them twice, some missing, with labels or without."""
    rows = draw(st.lists(st.tuples(st.integers(0, 40), NAMES), min_size=1, max_size=40))
    channels = draw(st.lists(st.sampled_from(list(CHANNELS)), min_size=1, max_size=4, unique=True))
    frame = pd.DataFrame(rows, columns=["tick", "rack_id"])
    frame["ts"] = pd.Timestamp("2025-01-06", tz="UTC") + pd.to_timedelta(frame.pop("tick") * 30, unit="s")
    for channel in channels:
        frame[channel] = draw(st.lists(VALUES, min_size=len(rows), max_size=len(rows)))
    labels = frame[["ts", "rack_id"]].assign(
        profile=draw(st.lists(PROFILES, min_size=len(rows), max_size=len(rows))),
        is_anomaly=draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))),
    )
    return frame, labels if draw(st.booleans()) else None


@given(telemetry())
@settings(max_examples=40)
@example((ONE.assign(inlet_c=[float("nan"), 21.0]), ONE.assign(profile="nominal", is_anomaly=[True, False])))
def test_any_telemetry_gets_a_page_whose_data_a_browser_can_read(drawn):
    frame, labels = drawn
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.parquet")
        frame.to_parquet(path)
        if labels is not None:
            labels.to_parquet(path.with_name("a.labels.parquet"))
        page = report(read_recorded(path))
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1])
    assert set(data["racks"]) == set(frame["rack_id"])
    assert (data["state"] is None) == (labels is None)
    assert "nan" not in page.split('<script type="application/json"')[0].split("</style>")[1]


@given(st.text(max_size=300))
@settings(max_examples=60)
def test_any_text_is_a_page_or_one_message(text):
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        with suppress(InputError):
            assert report(read_recorded(path)).rstrip().endswith("</html>")
