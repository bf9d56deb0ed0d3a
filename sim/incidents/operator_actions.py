"""What operators do to save energy, as planned work: each moves one lever of the hall, and labels call it normal.

They never come by themselves. Defaults are small steps; how much a step is in a hall of one's own is for its operator.
"""

from sim.incidents.kinds import HOUR_S, MINUTE_S, Effect, Kind, Parameter

A = "assumed"


def _left(what: str, default: float, source: str = A) -> Parameter:
    return Parameter(what, default, "of the healthy value", 0.5, 1.0, source)


ACTIONS = (
    Kind(
        "increase_batch_window", "normal", "Requests wait a little to be served together",
        "larger batches -> less energy per token; the wait costs capacity -> latency rises",
        ("plant", "row", "rack"), (_left("energy_left", 0.94), _left("capacity_left", 0.95)),
        (Effect("token_energy", "energy_left"), Effect("capacity", "capacity_left")), target="plant",
        duration_s=4 * HOUR_S, per_year=0.0,
    ),
    Kind(
        "decrease_fan_rpm", "normal", "The racks' cooling fans turn slower than their law asks",
        "fan bias -> less air through the coils -> inlets rise until law and branch pumps answer",
        ("plant", "row", "rack"), (Parameter("fan_bias_pct", -10.0, "% of speed", -60.0, 0.0, A),),
        (Effect("fan_bias_pct", "fan_bias_pct"),), target="plant", duration_s=4 * HOUR_S, recovery_s=MINUTE_S,
        per_year=0.0,
    ),
    Kind(
        "increase_supply_temp", "normal", "The loops' supply water is set warmer",
        "water temperature -> inlets; fans and branch pumps answer",
        ("plant", "loop"), (Parameter("shift_k", 1.5, "K", 0.0, 10.0, A),),
        (Effect("loop_setpoint_k", "shift_k"),), target="plant", duration_s=4 * HOUR_S, recovery_s=5 * MINUTE_S,
        per_year=0.0,
    ),
    Kind(
        "shift_traffic_to_cool_row", "normal", "A router moves load from warm racks to cooler ones",
        "offered load leaves the target and arrives at `to`, spread evenly",
        ("row", "rack"), (Parameter("share", 0.1, "of the target's load", 0.0, 1.0, A),), moves_load=True,
        duration_s=4 * HOUR_S, recovery_s=MINUTE_S, per_year=0.0,
    ),
    Kind(
        "pause_low_priority_jobs", "normal", "Jobs that can wait are paused: fewer requests arrive",
        "offered load -> tokens, power and heat fall",
        ("plant", "row", "rack"), (_left("load_left", 0.95),), (Effect("offered_tokens_ps", "load_left"),),
        target="plant", duration_s=2 * HOUR_S, recovery_s=5 * MINUTE_S, per_year=0.0,
    ),
    Kind(
        "increase_cdu_pump", "normal", "The branch pumps turn faster than their law asks",
        "pump bias -> more water through the coils -> inlets fall, fans slow down",
        ("plant", "row", "rack"), (Parameter("pump_bias_pct", 10.0, "% of speed", 0.0, 60.0, A),),
        (Effect("pump_bias_pct", "pump_bias_pct"),), target="plant", duration_s=4 * HOUR_S, recovery_s=MINUTE_S,
        per_year=0.0,
    ),
)  # fmt: skip
