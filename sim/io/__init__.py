"""Files: scenarios in; telemetry, labels, events and the manifest out."""
