"""Wiring, the clock, the sampler, the sensors and the log of the truth."""
