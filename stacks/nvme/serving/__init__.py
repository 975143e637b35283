"""Serving a target from one program: its ports, its stores and the threads that they need (`aio`)."""
