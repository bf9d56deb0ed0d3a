"""Checks of runs: against real halls, of benchmarks, and of labels against truth and twin."""
