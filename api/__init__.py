"""The backend: telemetry in, scores out, a live hall that can be acted on, a referee that knows the truth."""
