"""A run sent to a receiver while it is under way, as the command does it."""

from dataclasses import dataclass
from pathlib import Path

import click

from sim.common.errors import InputError
from sim.engine.build import Hall
from sim.runs.live import Receiver, Sender, Spool, send_live
from sim.runs.simulate import demand_trace

SLOWEST, FASTEST = 1.0, 3600.0


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What the command is told of it. speed: a number, or `max`."""

    to: str | None
    token: str | None
    speed: str
    spool: str | None

    def speed_or_none(self) -> float | None:
        """Return simulated seconds in a second, None for as fast as it goes. Raises InputError."""
        if self.speed == "max":
            return None
        try:
            speed = float(self.speed)
        except ValueError:
            speed = float("nan")
        if not SLOWEST <= speed <= FASTEST:
            raise InputError(f"--speed: {self.speed!r} must be {SLOWEST:g} to {FASTEST:,.0f}, or max")
        return speed


def sender_of(options: LiveOptions, name: str, *, quiet: bool) -> tuple[Sender, float | None]:
    """Return who sends a run of a name, and how fast; everything given is looked at. Raises InputError."""
    if options.to is None:
        raise InputError("--live: needs --to with the URL of a receiver, such as http://127.0.0.1:8000")
    receiver, speed = Receiver.at(options.to, options.token), options.speed_or_none()
    spool = Spool(Path(options.spool or f"data/{name}.spool"))

    def say(text: str) -> None:
        if not quiet:
            click.echo(text, err=True)

    if len(spool):
        say(f"{len(spool):,} batches of an earlier run wait in {spool.folder}; they are sent first")
    return Sender(receiver, spool, say), speed


def send(hall: Hall, sender: Sender, speed: float | None, *, quiet: bool) -> None:
    """Send a run and say what became of it; an interrupt says what was not sent, and goes on."""
    trace = demand_trace(hall.scenario)
    try:
        send_live(hall, trace, sender, speed)
    except BaseException as error:
        sender.keep()
        if isinstance(error, KeyboardInterrupt):
            click.echo(_left(sender), err=True)
        raise
    sent = sender.sent
    if sent.rejected:
        click.echo(f"{sent.rejected:,} samples were not taken; the last: {sent.why_rejected}", err=True)
    if not quiet:
        click.echo(f"{sent.produced - sent.rejected:,} samples arrived at {sender.receiver.url}")


def _left(sender: Sender) -> str:
    if not sender.left:
        return f"all {sender.sent.produced:,} samples that were made have been sent"
    return (
        f"{sender.left:,} of {sender.sent.produced:,} samples were not sent; they wait in {sender.spool.folder}, and "
        "the next run that spools there sends them first"
    )
