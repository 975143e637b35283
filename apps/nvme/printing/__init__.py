"""Identify data, log pages and features as lines, the way nvme-cli 2.11 prints them without options.

values       numbers: hexadecimal, decimal multiples of bytes, temperatures
controller, namespace    id-ctrl, id-ns
logs, errors, effects    smart-log, ana-log, fw-log, changed-ns-list-log, supported-log-pages; error-log; effects-log
features     get-feature
listing      list
names        what commands, log pages and features are called

Where nvme-cli has the name of a device, as nvme0, here is the URL. Layout, names and units are checked against what
nvme-cli's printf formats give (its nvme-print-stdout.c, 2.11). Numbers are without separators, as in the C locale.
What a peer sent as text comes through `printable`.
"""
