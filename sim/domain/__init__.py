"""Values: what a scenario says, what a hall is, and the names every other layer uses."""
