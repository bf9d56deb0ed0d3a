"""Faults and events, from the scenario's entry to the label."""
