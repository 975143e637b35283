"""Proofs that need nothing from outside."""
