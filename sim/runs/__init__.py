"""A run's output: simulated into files or memory, read back, exported."""
