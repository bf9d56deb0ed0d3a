"""The catalogue's sensor faults: the truth stays, only a reading changes, and what is derived from it."""

from sim.domain.kinds import DAY_S, HOUR_S, MINUTE_S, Durations, Kind, Parameter

SENSOR_FAULT = Durations(2 * HOUR_S, 1.2, MINUTE_S, DAY_S)
"""Assumed."""

CHANNEL = "channel"
"""Name of the parameter that says which sensor a fault is in; one of MEASURED."""

DEFAULT_CHANNEL = "inlet_c"

SWAPPED = {"inlet_c": "outlet_c", "outlet_c": "inlet_c", "fan_rpm_pct": "pump_rpm_pct", "pump_rpm_pct": "fan_rpm_pct"}
"""Sensors that can be cabled the wrong way round."""

A = "assumed"


def _sigmas(default: float) -> Parameter:
    return Parameter("sigmas", default, "standard deviations of the healthy sensor", -1000.0, 1000.0, A)


def _share(default: float, source: str = A) -> Parameter:
    return Parameter("share", default, "of the samples", 0.0, 1.0, source)


SENSOR_FAULTS = (
    Kind(
        "sensor_stuck", "sensor", "A sensor repeats the last value it read before the fault",
        "reading = the last healthy reading", ("rack",), (), sensor="stuck", duration_s=3 * HOUR_S, per_year=0.3,
        durations=SENSOR_FAULT,
    ),
    Kind(
        "sensor_drift", "sensor", "A sensor's zero wanders off", "reading = truth + strength x sigmas x noise",
        ("rack",), (_sigmas(25.0),), sensor="drift", shape="drift", duration_s=DAY_S, per_year=0.3,
        durations=SENSOR_FAULT,
    ),
    Kind(
        "sensor_offset", "sensor", "A sensor reads too high, or too low with negative sigmas",
        "reading = truth + strength x sigmas x noise", ("rack",), (_sigmas(15.0),), sensor="offset",
        duration_s=6 * HOUR_S, per_year=0.2, durations=SENSOR_FAULT,
    ),
    Kind(
        "sensor_spike", "sensor", "A sensor throws single wild readings",
        "reading = truth +- strength x sigmas x noise in some samples", ("rack",), (_sigmas(30.0), _share(0.1)),
        sensor="spike", duration_s=4 * HOUR_S, per_year=0.5, durations=SENSOR_FAULT,
    ),
    Kind(
        "sensor_noise", "sensor", "A sensor scatters more than it should",
        "reading = truth + strength x sigmas x noise x a normal draw", ("rack",), (_sigmas(8.0),), sensor="noise",
        duration_s=6 * HOUR_S, per_year=0.3, durations=SENSOR_FAULT,
    ),
    Kind(
        "sensor_dropout", "sensor", "Samples of a sensor are missing: the cell is empty, the row stays",
        "no reading in some samples", ("rack",),
        (_share(1.0, "1.9 % of nodes silent for a day, 0.06 % isolated misses: Harvard IPMI"),), sensor="dropout",
        duration_s=HOUR_S, per_year=1.0, durations=SENSOR_FAULT,
    ),
    Kind(
        "sensor_swap", "sensor", "Two sensors are cabled the wrong way round (inlet and outlet, or fan and pump)",
        "each reads what the other measures", ("rack",), (), sensor="swap", duration_s=DAY_S, per_year=0.1,
        durations=SENSOR_FAULT,
    ),
    Kind(
        "sensor_late", "sensor", "A sensor's readings arrive late: the older value is repeated",
        "reading(t) = reading(t - delay)", ("rack",), (Parameter("delay_s", 600.0, "s", 1.0, 86_400.0, A),),
        sensor="late", duration_s=6 * HOUR_S, per_year=0.3, durations=SENSOR_FAULT,
    ),
)  # fmt: skip
