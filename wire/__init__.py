"""Formats: bytes to fields and back, without state and without input or output."""
