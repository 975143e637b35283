"""Clocks, the simulator, and everything that moves bytes."""
