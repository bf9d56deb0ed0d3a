"""Wiring, the clock, the sampler and the journal of the truth."""
