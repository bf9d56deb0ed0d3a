"""A hall with liquid-cooled racks moves by steps that its tick does not decide."""

import numpy as np

from sim.runs.memory import record

ROWS = [{"name": "A", "racks": 2, "rack_type": "dlc"}, {"name": "B", "racks": 2}]
FLOW = {"kind": "loss_of_flow", "target": "rack:R-A-01", "at": "20m", "duration": "5m"}


def test_at_ten_seconds_and_at_a_minute_a_hall_is_the_same_to_the_bit():
    """Steps of 10 s either way, so the same draws; power is the mean over the tick."""
    fine, coarse = (
        record({"facility": {"rows": ROWS}, "duration": "1h", "tick": tick, "incidents": [FLOW]}) for tick in (10, 60)
    )
    for name in ("inlet_c", "tokens_ps", "fan_rpm_pct", "pump_rpm_pct"):
        np.testing.assert_array_equal(fine.truth[name][::6], coarse.truth[name], err_msg=name)
        np.testing.assert_array_equal(fine.twin_truth[name][::6], coarse.twin_truth[name], err_msg=name)
    minutes = fine.truth["pdu_kw"][1 : 59 * 6 + 1].reshape(59, 6, 4).mean(axis=1)
    np.testing.assert_allclose(minutes, coarse.truth["pdu_kw"][1:], rtol=1e-12)
    assert not np.array_equal(coarse.truth["tokens_ps"][:, 0], coarse.twin_truth["tokens_ps"][:, 0])
