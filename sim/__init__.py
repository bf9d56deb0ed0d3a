"""A discrete-event simulator of an AI datacenter hall."""

__version__ = "0.1.0"
