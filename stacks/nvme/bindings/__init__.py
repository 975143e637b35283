"""Bindings: the NVMe cores joined to what carries them, one package for each transport."""
