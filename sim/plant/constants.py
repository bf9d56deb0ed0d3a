"""Every constant of the physics, with its unit in the name and its source or the word "assumed" beside it.

Extensive constants (power, airflow, heat capacity, tokens) are those of a standard rack; a rack's size scales them.
"""

# air
AIR_DENSITY_KGM3 = 1.19  # at 23 degC and sea level; general knowledge
AIR_HEAT_J_KGK = 1006.0  # general knowledge
AIR_KJ_M3K = AIR_DENSITY_KGM3 * AIR_HEAT_J_KGK / 1000
CFM_PER_M3S = 2118.88

# load
CAPACITY_TOKENS_PS = 18_000.0  # assumed: puts latency of the shipped profiles on one queueing curve
BACKLOG_DRAIN_S = 20.0  # assumed
BACKLOG_LIMIT_S = 30.0  # assumed: requests older than this are shed

# GPU and rack power: about 70 % of the rack's power is drawn by GPUs (training document's generator)
GPU_IDLE_KW = 0.5  # assumed
GPU_J_PER_TOKEN = 0.60  # assumed: fits the nominal profile's power to its tokens
GPU_KELVIN_PER_KW = 6.25  # 0.10 K/W with 16 GPUs; 0.10-0.22 K/W measured on Cornell BioHPC traces
GPU_REFERENCE_C = 60.0  # assumed: near the nominal profile's GPU temperature
GPU_TAU_S = 45.0  # assumed
GPU_LIMIT_C = 87.0  # Cornell BioHPC traces: above 82-86 degC clocks fall, and power with them
LEAKAGE_PER_K = 0.005  # measured on Cornell BioHPC traces: +0.5 % per degC
CLOCK_MIN = 0.3  # assumed: the lowest clock of a GPU against its highest
CLOCK_ENERGY_EXPONENT = (
    0.5  # energy per token ~ clock^0.5: 12 % less under a cap that makes prefill take x 1.3, assumed
)
RACK_LIMIT_KW = 13.0  # assumed: what a rack's breakers carry, just above the profiles' top; GPUs are capped below it
HOST_IDLE_KW = 1.3  # assumed
HOST_PER_GPU_KW = 0.18  # assumed: memory, network, conversion losses
SERVER_FAN_KW = 0.15  # assumed, at the reference airflow; with the next two: +8 % power at 35 degC, +12 % at 37 (GRC)
FAN_RAMP_C = 27.0  # the top of ASHRAE's recommended inlet; beyond it servers' fans speed up
FAN_RAMP_K = 12.8  # assumed: x 1.4 at 35 degC; a test of GRC tells power, not air
FAN_RAMP_MOST = 2.0  # assumed: full speed
STANDBY_KW = 0.3  # assumed: management controllers

# states of a rack
SHUTDOWN_INLET_C = 45.0  # assumed
RESTART_INLET_C = 35.0  # assumed: where the cooling would hold a rack under its usual load for it to be started again
BOOT_S = 420.0  # assumed: 5 to 10 minutes from power to the first request
BOOT_HOST_KW = 2.8  # assumed: with idle GPUs and fans 45 % of the usual power, of 30 to 60 %
LOAD_RETURN_S = 120.0  # assumed: a balancer gives a rack that is back its load over 1 to 3 minutes

# server airflow
AIRFLOW_BASE_M3S = 0.33  # assumed: first fit 0.24; less slope lets delta-T follow power as within real racks
AIRFLOW_PER_KW_M3S = 0.028  # assumed, as above; first fit 0.04
AIRFLOW_REFERENCE_M3S = 0.53  # the nominal profile's airflow
PASSIVE_AIRFLOW = 0.1  # assumed: draught that still moves through a rack whose fans stand
AIRFLOW_TAU_S = 40.0  # assumed: fan controllers of servers average over tens of seconds

# rack thermal mass: outlet 63 % after 54 s (full fan) to 600 s (11 % rpm) on one server (bmcdata)
RACK_HEAT_KJ_K = 110.0  # assumed within that span: 175 s at nominal airflow
COLD_AISLE_HEAT_KJ_K = 24.0  # assumed: supply air and what it touches, about 45 s at nominal airflow
COIL_HEAT_KJ_K = 35.0  # assumed: water, copper and fins of a rack's coil, 30 to 40 kJ/K
STRUCTURE_HEAT_KJ_K = 400.0  # assumed: floor, walls and doors beside a rack, half at each aisle
STRUCTURE_KW_K = 0.02  # assumed: 4 m2 of it in each aisle, 5 W/m2K as air by itself hands on
TURBULENCE_K, TURBULENCE_TAU_S = 0.35, 30.0  # assumed: eddies at the outlet sensor, of 0.25-0.5 K and 30-45 s
EXCHANGE_KW_K = 0.008  # assumed: air that neighbouring racks swap
TYPICAL_NEIGHBOURS = 1.8  # of the up to three that touch a rack, those that are nominal while it is not; assumed

# the rack's own cooling: coil, fan and branch pump
COIL_KW_K = 0.72  # assumed: fits the nominal profile's inlet
COIL_AIR_SIDE = 2.0  # assumed: conductance of the coil's air side against all of it, at the reference flows
COIL_EXPONENT = 0.8  # turbulent heat transfer on both sides; general knowledge
FAN_REFERENCE_PCT = 65.0
PUMP_REFERENCE_PCT = 57.5
SETPOINT_INLET_C = 22.4  # the nominal profile's inlet
REFERENCE_RACK_KW = 7.9  # the nominal profile's power
FAN_PCT_PER_K = 4.0  # assumed
FAN_PCT_PER_KW = 2.0  # assumed
PUMP_PCT_PER_K = 3.5  # assumed
PUMP_PCT_PER_KW = 1.5  # assumed
ACTUATOR_TAU_S = 45.0  # assumed
ACTUATOR_RATE_PCT_S = 0.25  # assumed: 15 % a minute
ACTUATOR_MIN_PCT = 20.0  # assumed

# direct liquid cooling, of a standard rack's part of a dlc rack, which is 16 of them
PLATE_SHARE = 0.87  # of the heat that plates take; the rest goes to air
PLATE_HEAT_KJ_K = 9.4  # 150 kJ/K a rack: plates and the coolant in them
PLATE_FLOW_KW_K = 0.66  # coolant at the pump's reference: 1.25 l/min per kW of the reference power, 4.0 kJ/(l K)
COOLANT_KJ_LK = 4.0  # water with a quarter of glycol; general knowledge
CDU_KW_K = 1.72  # approach of the rack's exchanger 4 K at the reference power, within the 3 to 5 K of real ones
DLC_LIMIT_KW = 8.75  # 140 kW a rack: what its breakers carry
PLATES_OVER_INLET_K = 30.0  # assumed: plates as much hotter shut a rack down as inlet air does; at 75 degC
PLATE_STEP_S = 10.0  # plates follow by 13 s, and by 0.7 K/s without flow

# cooling loop and chiller plant
LOOP_DEAD_TIME_S = 20.0  # read off a published Summit figure
LOOP_TAU_S = 25.0  # with the dead time 45 s to 63 %: 43 s up, 58 s down in that figure
LOOP_DROOP_K = 0.6  # assumed: supply water is warmer by this at design load
DESIGN_RACK_KW = 12.5  # the top of the profiles' power
CHILLED_WATER_BELOW_K = 6.0  # assumed: chilled water below the loop's setpoint
CDU_HX_MARGIN = 1.4  # assumed: exchanger capacity over design load
CHILLER_MARGIN = 1.15  # assumed: chiller capacity over design load
CHILLER_HEAT_KJ_K_PER_KW = 30.0  # assumed: chilled-water mass, per kW of the design capacity

# overhead, for PUE
CHILLER_COP = 6.5  # assumed, at 12 degC outdoors
CHILLER_COP_PER_K = 0.12  # assumed: lost for each K of warmer weather
CHILLER_COP_MIN = 2.5  # assumed
LOOP_PUMP_KW_PER_RACK = 0.12  # assumed, at full speed; power ~ speed^3
RACK_FAN_KW = 0.25  # assumed, at full speed; power ~ speed^3
PDU_EFFICIENCY = 0.98  # 97-99 %; general knowledge
UPS_LOSS = 0.0152  # assumed, of what it is rated for, whatever passes; with the next 92 % at a fifth of its load
UPS_LOSS_OF_LOAD = 0.0109  # assumed: 96.5 % at three fifths
OVERHEAD_KW_PER_RACK = 0.12  # assumed: lighting, controls, pumps of the plant

# latency and queue
LATENCY_BASE_MS = 135.0  # first fit of the relations
LATENCY_QUEUE_MS = 53.0  # assumed: with the capacity above, through the profiles' middles
UTILISATION_MAX = 0.97  # beyond this the backlog, not the curve, sets the wait
TOKENS_PER_REQUEST = 36.0  # the training document's own ranges agree with L = tokens_ps x latency / 36

REQUEST_SIZE_TAU_S = 900.0  # assumed: how long a mix of requests stays

# signals inside a profile
LOAD_SLOW_TAU_S, LOAD_FAST_TAU_S, LOAD_SLOW_VARIANCE = 1500.0, 60.0, 0.70  # assumed; realism: a slow and a fast part
AIR_SLOW_TAU_S, AIR_FAST_TAU_S, AIR_SLOW_VARIANCE = 1200.0, 45.0, 0.80  # assumed, as above
WATER_TAU_S, WATER_SD_K = 1800.0, 0.12  # assumed
DRIVER_TAU_S = 60.0  # assumed: load is drained and air paths change within minutes
PLACE_RECIRCULATION_SD = 0.008  # assumed: racks at the ends of a row breathe more of their own exhaust
COIL_SD = 0.115  # assumed: fouling and valve authority differ from coil to coil
PLACE_LIMIT_SD = 2.0  # both are cut off here, so that no rack is an outlier from birth
ENERGY_SD = 0.03  # assumed: energy per token differs from rack to rack, so that their power does by 3 to 4 %
LOOP_PUMP_COAST_S = 6.0  # assumed: a pump without power runs down
LOOP_PUMP_MARGIN = 0.95  # assumed: mean branch speed that a loop's pump can serve in full
