"""Measurements of whole runs: how real they are, and how fast."""
