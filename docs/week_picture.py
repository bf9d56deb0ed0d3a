"""Draw docs/week.png from a finished run of the week: python docs/week_picture.py [RUN.csv]."""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from sim.runs.run import Run

RACK = "R-C-07"
COLOURS = {"high_load": "#ffd9a0", "thermal_event": "#ff9d94", "under_utilized": "#cfe8c6", "overcooled": "#a9d3f5"}


def main() -> None:
    """Draw one rack, the hall and all inlets over the run."""
    run = Run.open(sys.argv[1] if len(sys.argv) > 1 else "data/week.csv")
    data = run.telemetry.assign(profile=run.labels["profile"])
    rack, hall = data[data["rack_id"] == RACK].set_index("ts"), data.groupby("ts")[["tokens_ps", "pdu_kw"]].sum()
    figure, axes = plt.subplots(
        5, 1, figsize=(12, 12), sharex=True, layout="constrained", height_ratios=(3, 3, 2, 2, 4)
    )
    air, speed, load, power, all_racks = axes
    for axis in (air, speed):
        for profile, colour in COLOURS.items():
            there = (rack["profile"] == profile).to_numpy()
            axis.fill_between(
                rack.index, 0, 1, where=there, color=colour, transform=axis.get_xaxis_transform(), lw=0, label=profile
            )
    air.plot(rack["outlet_c"], lw=0.6, color="#a02020", label="outlet")
    air.plot(rack["inlet_c"], lw=0.6, color="#2050a0", label="inlet")
    air.set(ylabel="degC", title=f"{RACK}: temperatures, with its profile")
    speed.plot(rack["fan_rpm_pct"], lw=0.6, color="#206040", label="fan")
    speed.plot(rack["pump_rpm_pct"], lw=0.6, color="#604080", label="pump")
    speed.set(ylabel="%", title=f"{RACK}: fan and pump, with its profile")
    for axis in (air, speed):
        axis.legend(ncol=6, fontsize=8, loc="upper right", framealpha=0.9)
        low, high = axis.get_ylim()
        axis.set_ylim(low, high + 0.18 * (high - low))  # room for the legend
    load.plot(hall["tokens_ps"] / 1000, lw=0.7, color="#b06000")
    load.set(ylabel="1,000 tokens/s", title="Hall: throughput")
    power.plot(hall["pdu_kw"], lw=0.7, color="#606060")
    power.set(ylabel="kW", title="Hall: power of the racks")
    for axis in axes:
        axis.margins(x=0)
    racks, inlet = run.racks, run.readings("inlet_c")
    # ten minutes to a column: more would only be averaged away on the screen
    image = inlet[: len(inlet) // 10 * 10].reshape(-1, 10, len(racks)).mean(axis=1).T
    at = mpl.dates.date2num(hall.index)
    drawn = all_racks.imshow(
        image, aspect="auto", extent=(at[0], at[-1], len(racks), 0), cmap="RdYlBu_r", vmin=17, vmax=30
    )
    figure.colorbar(drawn, ax=all_racks, label="inlet degC")
    rows = [name.split("-")[1] for name in racks]
    starts = [i for i, row in enumerate(rows) if i == 0 or rows[i - 1] != row]
    all_racks.set(title="Inlet of every rack, by row", yticks=np.add(starts, 6), yticklabels=[rows[i] for i in starts])
    all_racks.xaxis.set_major_formatter(mpl.dates.DateFormatter("%a %d"))
    made = Path(__file__).with_name("week.png")
    figure.savefig(made, dpi=100)
    with Image.open(made) as picture:  # 256 colours are plenty and a third of the size
        picture.convert("P", palette=Image.Palette.ADAPTIVE).save(made, optimize=True)


if __name__ == "__main__":
    main()
