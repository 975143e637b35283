"""Protocols as sans-IO cores, one folder a protocol; see the docstring of each."""
