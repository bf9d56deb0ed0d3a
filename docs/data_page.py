"""Write the table of channels in docs/data.md from data/channels.csv: python -m docs.data_page."""

from pathlib import Path

from sim.model.channels import CHANNELS, TELEMETRY_CHANNELS, Channel

PAGE = Path(__file__).with_name("data.md")
BEGIN, END = "<!-- made by python -m docs.data_page -->", "<!-- end -->"
HEAD = ("| column | unit | decimals | sensor's noise | meaning |", "|---|---|---|---|---|")
KEYS = ("| ts | UTC | | | ISO 8601 with Z |", "| rack_id | | | | R-ROW-NN |")
MORE = "Not in the files unless a run is told to report them:"


def page(text: str) -> str:
    """Return the page with its table as the channels are now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n".join([f"{before}{BEGIN}", *table(), f"{END}{after}"])


def table() -> list[str]:
    """Return the lines of the table, and of a second one of channels that are not among the usual columns."""
    more = [_line(channel) for name, channel in CHANNELS.items() if name not in TELEMETRY_CHANNELS]
    lines = [*HEAD, *KEYS, *(_line(CHANNELS[name]) for name in TELEMETRY_CHANNELS)]
    return [*lines, "", MORE, "", *HEAD, *more] if more else lines


def _line(channel: Channel) -> str:
    when = "mean over [ts - tick, ts)" if channel.reading == "mean" else "at ts"
    meaning = channel.description if channel.noise_kind == "derived" else f"{channel.description}, {when}"
    return f"| {channel.name} | {channel.unit} | {channel.decimals} | {_noise(channel)} | {meaning} |"


def _noise(channel: Channel) -> str:
    if channel.noise_kind == "derived":
        return "derived"
    return (
        f"{channel.noise:g} {channel.unit}" if channel.noise_kind == "absolute" else f"{100 * channel.noise:g} % of it"
    )


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
