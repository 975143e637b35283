"""What a run is judged by, each metric defined once, after RFC 5166 and RFC 7928 where they have it.

Everything takes integers (nanoseconds, bytes, bits per second) and divides last, so that a value is the same on every
machine. `catalogue` has the names that experiments use; `summary` works them out of what a run recorded.
"""
