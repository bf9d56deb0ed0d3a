"""The catalogue's sensor faults: the truth stays, only a reading changes, and what is derived from it."""

from sim.incidents.kinds import (
    BLIP,
    DAY_S,
    HOUR_S,
    HW_SLOWDOWN,
    MINUTE_S,
    PLANT_FAULT,
    POWER_BRAKE,
    SW_POWER_CAP,
    WEAR,
    Durations,
    Effect,
    Kind,
    KindTrigger,
    Parameter,
)
from sim.incidents.operator_actions import ACTIONS
from sim.model.facility import DLC

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
        "sensor_late", "sensor", "A sensor lags: it shows what was true a while ago",
        "reading(t) = truth(t - delay) + the noise of t", ("rack",),
        (Parameter("delay_s", 600.0, "s", 1.0, 86_400.0, A),),
        sensor="late", duration_s=6 * HOUR_S, per_year=0.3, durations=SENSOR_FAULT,
    ),
)  # fmt: skip


A = "assumed"


def _left(what: str, default: float, source: str = A) -> Parameter:
    """Return the part of something that is left at full severity."""
    return Parameter(what, default, "of the healthy value", 0.0, 1.0, source)


def _times(what: str, default: float, source: str = A) -> Parameter:
    return Parameter(what, default, "times the healthy value", 0.0, 5.0, source)


COOLING = (
    Kind(
        "pump_trip", "cooling", "A loop's pump stops; a trickle of water still flows",
        "flow, once the pump has run down -> coils warm up -> supply air warms by the racks' own heat",
        ("loop",), (_left("flow_left", 0.06, "assumed: thermosiphon and a check valve that leaks"),),
        (Effect("loop_pump", "flow_left"),), duration_s=20 * MINUTE_S, recovery_s=60.0, exclusive=True,
        per_year=0.2, durations=PLANT_FAULT,
    ),
    Kind(
        "pump_wear", "cooling", "A loop's pump wears out: its flow shrinks over days",
        "flow -> the branch pumps ask for more than the loop can give -> coils get less, inlets creep up",
        ("loop",), (_left("flow_left", 0.30),), (Effect("loop_pump", "flow_left"),), shape="drift",
        duration_s=2 * DAY_S, recovery_s=10 * MINUTE_S, per_year=0.3, durations=WEAR,
    ),
    Kind(
        "fan_failure", "cooling", "The fan of a rack's own cooling slows to a fraction",
        "fan speed -> coil effectiveness -> supply air of that rack; its branch pump opens against it",
        ("rack",), (Parameter("fan_left_pct", 16.0, "% of speed", 0.0, 100.0, "assumed: turned by the draught"),),
        (Effect("fan_ceiling_pct", "fan_left_pct"),), recovery_s=2 * MINUTE_S, per_year=0.2,
    ),
    Kind(
        "stuck_valve", "cooling", "A rack's branch valve stays where it is stuck, whatever is asked of it",
        "the branch's flow no longer follows the load: too warm when busy, too cold when idle; only across channels "
        "can one see it at its usual position",
        ("rack",), (Parameter("position_pct", 57.0, "% open", 0.0, 100.0, "assumed: where a nominal rack has it"),),
        (Effect("pump_ceiling_pct", "position_pct"), Effect("pump_floor_pct", "position_pct")),
        duration_s=6 * HOUR_S, recovery_s=2 * MINUTE_S, per_year=0.1,
    ),
    Kind(
        "coolant_leak", "cooling", "A loop loses coolant: flow and heat exchange fall until it is refilled",
        "air in the water -> pump and exchanger give less, more from hour to hour",
        ("loop",), (_left("flow_left", 0.25), _left("exchange_left", 0.30)),
        (Effect("loop_pump", "flow_left"), Effect("exchanger", "exchange_left")), shape="drift",
        duration_s=8 * HOUR_S, recovery_s=20 * MINUTE_S, per_year=0.05, durations=WEAR,
    ),
    Kind(
        "chiller_trip", "cooling", "The chillers stop and restart; the chilled water's mass carries the hall meanwhile",
        "no heat is taken away -> chilled water warms -> exchangers cannot hold the loops' setpoint",
        ("plant",), (_left("capacity_left", 0.0),), (Effect("chiller", "capacity_left"),), target="plant",
        duration_s=5 * MINUTE_S, exclusive=True, recovery_s=10 * MINUTE_S, per_year=1.0,
        durations=Durations(15 * MINUTE_S, 0.7, 2 * MINUTE_S, 60 * MINUTE_S),
    ),
    Kind(
        "setpoint_error", "cooling", "A loop's supply water is set too warm, or too cold with a negative shift",
        "water temperature -> inlets of the loop; fans and pumps answer",
        ("loop",), (Parameter("shift_k", 6.0, "K", -10.0, 15.0, A),), (Effect("loop_setpoint_k", "shift_k"),),
        duration_s=4 * HOUR_S, recovery_s=5 * MINUTE_S, per_year=0.3, durations=PLANT_FAULT,
    ),
    Kind(
        "fouled_heat_exchanger", "cooling", "A loop's heat exchanger fouls: it needs a wider gap to the chilled water",
        "exchanger capacity -> under load the loop's water leaves its setpoint",
        ("loop",), (_left("exchange_left", 0.20),), (Effect("exchanger", "exchange_left"),), shape="drift",
        duration_s=3 * DAY_S, recovery_s=30 * MINUTE_S, per_year=0.3, durations=WEAR,
    ),
    Kind(
        "fouled_coil", "cooling", "Dust settles on a rack's coil: it cools less from day to day",
        "coil conductance -> the rack's fan and pump work harder for the same inlet, until they cannot",
        ("rack",), (Parameter("conductance_left", 0.55, "of the healthy value", 0.05, 1.0, A),),
        (Effect("coil", "conductance_left"),), shape="drift", duration_s=3 * DAY_S, recovery_s=10 * MINUTE_S,
        per_year=0.3, durations=WEAR,
    ),
    Kind(
        "heat_wave", "cooling", "Weather beyond the design: less chiller capacity, warmer chilled water for all loops",
        "condensers run hot -> chilled water leaves its setpoint -> all loops warm, most in the afternoon load",
        ("plant",),
        (Parameter("chilled_water_k", 8.0, "K", 0.0, 20.0, A),
         _left("capacity_left", 0.62, "assumed: just short of a busy afternoon's heat")),
        (Effect("chilled_water_k", "chilled_water_k"), Effect("chiller", "capacity_left")), target="plant",
        shape="ramp", duration_s=8 * HOUR_S, recovery_s=2 * HOUR_S, per_year=1.0,
        durations=Durations(6 * HOUR_S, 0.4, 2 * HOUR_S, 12 * HOUR_S),
    ),
)  # fmt: skip

LIQUID = (
    Kind(
        "loss_of_flow", "cooling", "The coolant pump of a liquid-cooled rack stops",
        "no flow -> plates warm by 0.7 K/s -> GPUs run slower and slower within a minute, and shut down after two",
        ("rack",), (Parameter("pump_left_pct", 0.0, "% of speed", 0.0, 100.0, A),),
        (Effect("pump_ceiling_pct", "pump_left_pct"),), duration_s=10 * MINUTE_S, recovery_s=20.0, exclusive=True,
        rack_type=DLC, per_year=0.2, durations=PLANT_FAULT,
    ),
    Kind(
        "manifold_leak", "cooling", "A liquid-cooled rack leaks: less and less coolant reaches its plates",
        "flow at the same pump speed -> plates and coils warm -> fans answer, warm GPUs leak more power, then throttle",
        ("rack",), (_left("flow_left", 0.15),), (Effect("branch_flow", "flow_left"),), shape="drift",
        duration_s=2 * HOUR_S, recovery_s=2 * MINUTE_S, rack_type=DLC, per_year=0.1, durations=PLANT_FAULT,
    ),
    Kind(
        "clogged_filter", "cooling", "The filter of a liquid-cooled rack's coolant clogs from day to day",
        "flow at the same pump speed -> plates and coils warm slowly; its fan works harder against it",
        ("rack",), (_left("flow_left", 0.25),), (Effect("branch_flow", "flow_left"),), shape="drift",
        duration_s=2 * DAY_S, recovery_s=10 * MINUTE_S, rack_type=DLC, per_year=0.5, durations=WEAR,
    ),
    Kind(
        "approach_drift", "cooling", "Scale in a liquid-cooled rack's exchanger: its approach grows from day to day",
        "coolant further above the loop's water -> GPUs warm, leak more power, and throttle in the end; air does not "
        "change",
        ("rack",), (_left("exchange_left", 0.12, "assumed: an approach of 33 K in place of 4"),),
        (Effect("cdu", "exchange_left"),), shape="drift", duration_s=3 * DAY_S, recovery_s=10 * MINUTE_S,
        rack_type=DLC, per_year=0.3, durations=WEAR,
    ),
)  # fmt: skip

ROOM = (
    Kind(
        "containment_breach", "room", "An aisle's containment stands open: a row breathes its own exhaust",
        "recirculation, once the aisles' air has mixed -> inlet above supply air -> fans and pumps answer",
        ("row",), (Parameter("recirculation", 0.22, "of the exhaust", 0.0, 0.6, A),),
        (Effect("recirculation", "recirculation"),), shape="ramp", rise_s=2 * MINUTE_S, recovery_s=2 * MINUTE_S,
        per_year=1.0,
    ),
    Kind(
        "missing_blanking_panels", "room", "Open slots in a rack let exhaust back to its front",
        "recirculation of that rack -> its inlet, against which fan and pump work for as long as it lasts",
        ("rack",),
        (Parameter("recirculation", 0.18, "of the exhaust", 0.0, 0.6, "assumed: 6-8 K are told of the servers beside "
                   "a gap, the rack's mean is less"),),
        (Effect("recirculation", "recirculation"),), duration_s=DAY_S, per_year=0.3, durations=WEAR,
    ),
    Kind(
        "blocked_intake", "room", "Something covers a rack's front: its servers get less air",
        "less air takes the same heat -> hotter exhaust, some of which is drawn in beside what covers the front",
        ("rack",),
        (_left("airflow_left", 0.55), Parameter("recirculation", 0.12, "of the exhaust", 0.0, 0.6, A)),
        (Effect("airflow", "airflow_left"), Effect("recirculation", "recirculation")), duration_s=2 * HOUR_S,
        recovery_s=60.0, per_year=0.3,
    ),
    Kind(
        "row_fan_fault", "room", "The fan supply of a row fails: all its cooling fans turn slower",
        "fan speed -> coil effectiveness of every rack in the row",
        ("row",), (Parameter("fan_left_pct", 40.0, "% of speed", 0.0, 100.0, A),),
        (Effect("fan_ceiling_pct", "fan_left_pct"),), recovery_s=2 * MINUTE_S, per_year=0.2, durations=PLANT_FAULT,
    ),
    Kind(
        "added_ai_nodes", "room", "A row gets more AI nodes than its cooling was sized for",
        "capacity, load and idle power rise; the nodes draw more air than the old row's cooling gives, and the rest "
        "is their own exhaust -> the row heats up",
        ("row", "rack"),
        (_times("load", 1.35), _times("capacity", 1.3), Parameter("idle_kw", 0.8, "kW", 0.0, 20.0, A),
         Parameter("recirculation", 0.23, "of the exhaust", 0.0, 0.6, "1 - 1/1.3: a third more air drawn than given")),
        (Effect("offered_tokens_ps", "load"), Effect("capacity", "capacity"), Effect("idle_kw", "idle_kw"),
         Effect("recirculation", "recirculation")),
        shape="ramp", duration_s=DAY_S, recovery_s=30 * MINUTE_S, per_year=0.5, durations=WEAR,
    ),
    Kind(
        "overcooled_row", "room", "A row's cooling runs far beyond what its heat asks for",
        "fan and pump bias -> coil effectiveness -> inlets below 20 degC, energy wasted",
        ("row", "rack"),
        (Parameter("fan_bias_pct", 40.0, "% of speed", 0.0, 80.0, "assumed: gives the overcooled profile's inlet"),
         Parameter("pump_bias_pct", 40.0, "% of speed", 0.0, 80.0, "assumed, as above")),
        (Effect("fan_bias_pct", "fan_bias_pct"), Effect("pump_bias_pct", "pump_bias_pct")), duration_s=4 * HOUR_S,
        recovery_s=5 * MINUTE_S, per_year=0.5, durations=PLANT_FAULT,
    ),
)  # fmt: skip

POWER = (
    Kind(
        "breaker_trip", "power", "A rack's breaker opens: all its nodes go dark",
        "no power -> no tokens, no heat; once it closes the nodes boot for minutes, then their load comes back",
        ("rack",), (_left("power_left", 0.0),), (Effect("powered", "power_left"),), duration_s=30 * MINUTE_S,
        exclusive=True, per_year=0.1,
    ),
    Kind(
        "pdu_loss", "power", "A row's PDU fails: the whole row goes dark",
        "no power in the row -> no tokens, no heat; its loop runs lighter, and all its racks boot at once after it",
        ("row",), (_left("power_left", 0.0),), (Effect("powered", "power_left"),), duration_s=HOUR_S,
        exclusive=True, per_year=0.05, durations=PLANT_FAULT,
    ),
    Kind(
        "ups_transfer", "power", "A UPS is on battery; a site may cap the racks behind it to spare it",
        "none by itself; with clock_left below 1 lower clocks -> latency first, then power",
        ("ups",), (Parameter("clock_left", 1.0, "of the full clock", 0.3, 1.0, "assumed: no policy caps racks"),),
        (Effect("clock_ceiling", "clock_left"),), target="ups:*",
        unseen="racks do not notice that their UPS runs on battery; set clock_left below 1 for a site that caps them",
        duration_s=5 * MINUTE_S, exclusive=True, clock_reason=HW_SLOWDOWN | POWER_BRAKE, per_year=1.0, durations=BLIP,
    ),
    Kind(
        "utility_sag", "power", "The grid sags: fans and pumps slow until a generator runs, chillers restart",
        "loop pumps, branch pumps and racks' fans lose speed until the generator takes over; what it sets off does the "
        "rest",
        ("plant",),
        (_left("flow_left", 0.4), Parameter("speed_left_pct", 30.0, "% of speed", 0.0, 100.0, A)),
        (Effect("loop_pump", "flow_left"), Effect("fan_ceiling_pct", "speed_left_pct"),
         Effect("pump_ceiling_pct", "speed_left_pct")), target="plant", duration_s=13.0,
        recovery_s=20.0, exclusive=True, per_year=2.0, durations=Durations(8.0, 0.8, 1.0, 60.0),
        triggers=(
            KindTrigger("ups_transfer", "ups:*", 0.1, 3 * MINUTE_S, 1.0, A),
            KindTrigger("chiller_trip", "plant", 1.0, 4 * MINUTE_S, 0.7, "assumed: quick start 2-5 min"),
        ),
    ),
    Kind(
        "power_cap", "power", "GPUs run under a power cap",
        "lower clocks: requests take up to 1.3 times as long, so latency shows it first; energy per token falls",
        ("plant", "row", "rack"),
        (Parameter("clock_left", 0.77, "of the full clock", 0.3, 1.0, "Splitwise: prefill x 1.30 under a cap"),),
        (Effect("clock_ceiling", "clock_left"),), target="plant",
        duration_s=2 * HOUR_S, recovery_s=30.0, clock_reason=SW_POWER_CAP, per_year=2.0,
    ),
)  # fmt: skip

LOAD = (
    Kind(
        "flash_crowd", "load", "Far more requests than usual, for the whole hall",
        "offered load -> utilisation -> latency and queue; power and heat follow",
        ("plant", "row"), (_times("load", 1.5),), (Effect("offered_tokens_ps", "load"),), target="plant", shape="ramp",
        duration_s=45 * MINUTE_S, recovery_s=15 * MINUTE_S, per_year=4.0,
    ),
    Kind(
        "traffic_shift", "load", "A router moves load from one row to another",
        "offered load leaves the target and arrives at `to`, spread evenly",
        ("row", "rack"),
        (Parameter("share", 0.4, "of the target's load", 0.0, 1.0, "assumed: a row can take it from another"),),
        moves_load=True,
        duration_s=2 * HOUR_S, recovery_s=MINUTE_S, per_year=2.0,
    ),
    Kind(
        "job_drain", "load", "The scheduler drains a rack or a row: almost no requests arrive",
        "offered load -> tokens, power and heat fall",
        ("rack", "row"), (_left("load_left", 0.08),), (Effect("offered_tokens_ps", "load_left"),), shape="ramp",
        duration_s=HOUR_S, recovery_s=10 * MINUTE_S, per_year=1.0,
    ),
    Kind(
        "batch_surge", "load", "Batch jobs arrive: larger requests, more of them",
        "offered load and request size rise; a request takes as much longer as it is larger -> latency",
        ("rack", "row"),
        (_times("load", 1.35), _times("tokens_per_request", 2.5), _left("capacity_left", 0.93)),
        (Effect("offered_tokens_ps", "load"), Effect("tokens_per_request", "tokens_per_request"),
         Effect("capacity", "capacity_left")), shape="pulse", duration_s=2 * HOUR_S, per_year=2.0,
    ),
    Kind(
        "nodes_lost", "load", "Nodes of a rack drop out: most of their load goes to the racks beside it",
        "capacity and load fall together -> tokens, power and heat; who takes the load works harder; half of the idle "
        "power is saved",
        ("rack", "row"),
        (_left("capacity_left", 0.55), _left("load_left", 0.91, "assumed: a fifth of the lost nodes' requests fail"),
         Parameter("share", 0.396, "of the load that is left", 0.0, 1.0, "assumed: the rest of what the nodes served"),
         Parameter("idle_kw", -0.43, "kW", -1.0, 0.0, "assumed: half of what those nodes draw when idle")),
        (Effect("capacity", "capacity_left"), Effect("offered_tokens_ps", "load_left"), Effect("idle_kw", "idle_kw")),
        moves_load=True, recovery_s=4 * MINUTE_S, per_year=2.8,
        rate_source="Llama-3 training: one interruption per 50,700 GPU-hours, 16 GPUs a rack",
    ),
    Kind(
        "job_crash", "load", "A GPU fails, and with it the training job of all its racks: it stops and restarts",
        "all racks of the job fall to idle at once, together, and go on together once it has restarted",
        ("rack",), (_left("load_left", 0.0, "one GPU stops all that run in step with it"),),
        (Effect("offered_tokens_ps", "load_left"),), duration_s=10 * MINUTE_S, exclusive=True, whole_job=True,
        per_year=0.0, rate_source="its own failures are those of `training_job.gpu_hours_per_failure`",
    ),
    Kind(
        "gpu_throttle", "load", "GPUs of a rack run at reduced clocks",
        "requests take longer and capacity falls -> latency rises while the rack cools",
        ("rack", "row"), (Parameter("clock_left", 0.6, "of the full clock", 0.3, 1.0, A),),
        (Effect("clock_ceiling", "clock_left"),), duration_s=40 * MINUTE_S,
        clock_reason=HW_SLOWDOWN, per_year=1.0,
    ),
)  # fmt: skip

NORMAL = (
    Kind(
        "planned_maintenance", "normal", "Racks are serviced: all of their load moves away first, and comes back",
        "offered load leaves the target for `to` before the work begins, and comes back after",
        ("rack",),
        (Parameter("share", 1.0, "of the target's load", 0.0, 1.0, "a rack that is serviced serves nobody"),),
        moves_load=True,
        shape="ramp", duration_s=3 * HOUR_S, recovery_s=20 * MINUTE_S, per_year=1.0,
        durations=Durations(3 * HOUR_S, 0.4, HOUR_S, 8 * HOUR_S),
    ),
    Kind(
        "firmware_roll", "normal", "The racks of a row restart one after another for new firmware",
        "each rack has few requests while its nodes restart, for its part of the duration",
        ("row", "rack"), (_left("load_left", 0.4, "assumed: its nodes restart in batches"),),
        (Effect("offered_tokens_ps", "load_left"),), in_turn=True,
        duration_s=4 * HOUR_S, per_year=2.0, durations=Durations(4 * HOUR_S, 0.3, HOUR_S, 8 * HOUR_S),
    ),
    Kind(
        "setpoint_tuning", "normal", "Operators move a loop's water by a little, on purpose",
        "water temperature -> inlets move by less than their range",
        ("loop",), (Parameter("shift_k", 0.8, "K", -2.0, 2.0, A),), (Effect("loop_setpoint_k", "shift_k"),),
        shape="ramp", duration_s=6 * HOUR_S, recovery_s=30 * MINUTE_S, per_year=4.0,
        durations=Durations(6 * HOUR_S, 0.4, 2 * HOUR_S, DAY_S),
    ),
    *ACTIONS,
)  # fmt: skip

CATALOGUE: dict[str, Kind] = {
    kind.name: kind for kind in (*COOLING, *LIQUID, *ROOM, *POWER, *LOAD, *SENSOR_FAULTS, *NORMAL)
}
"""Every kind of incident by name, group by group."""
