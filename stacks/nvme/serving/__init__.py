"""Targets that listen: the core, its ports at addresses of this machine, and the threads that its stores need."""
