"""Proofs against software that nobody here wrote: `python -m interop`, which `make interop` calls.

`cases` is the table of judges; `tshark*` and `*_fields` are the first: Wireshark's dissector reads what we read, and
every field that it prints must be what our codecs decode.
"""
