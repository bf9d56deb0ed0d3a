"""Finished runs in the formats that other tools read unchanged."""
