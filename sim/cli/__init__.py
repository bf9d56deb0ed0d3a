"""The commands of the simulator, and the texts they print."""
