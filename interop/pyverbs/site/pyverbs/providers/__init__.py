"""Vendors: none here, but the tests' common part imports it."""
