"""Fuzzers: functions that take any bytes and check what must hold whatever they are.

`make fuzz` lets atheris look for bytes that reach new code, for as long as one likes; the tests beside it run the same
functions over bytes that are always the same, and need nothing.
"""
