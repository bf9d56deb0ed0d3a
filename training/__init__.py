"""Monitors trained on the telemetry, and the data generator of the training document."""
