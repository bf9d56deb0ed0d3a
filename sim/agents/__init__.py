"""SimPy processes: whoever waits, decides, or is named in the ground truth."""
