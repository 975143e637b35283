"""The names of metrics, as `metrics = [...]` in an experiment and the tables of results have them."""

from __future__ import annotations

from collections.abc import Mapping

METRICS: Mapping[str, str] = {
    "goodput": "data that was new, per second of the flow's time after the warm-up (RFC 5166 2.1)",
    "delay": "one-way delay of every packet that arrived: percentiles (RFC 5166 2.2, RFC 7928 2.6)",
    "queue": "backlog of every link: mean, percentiles and highest of the samples",
    "loss": "dropped of what arrived at a link, and found lost of what a flow sent (RFC 5166 2.3)",
    "utilisation": "what a link sent of what it could have (RFC 5166 2.1)",
    "fairness": "Jain's index over the goodput of flows that never end (RFC 5166 2.6)",
    "convergence": "from the start of the last flow until every share stays near the fair one (RFC 5166 2.5)",
    "power": "goodput over mean one-way delay (RFC 5166 2.2)",
    "latency_under_load": "one-way delay beyond that of the empty path: percentiles",
    "completion": "completion times and slowdowns of flows that end, by size",
    "harm": "what the other groups of flows take from each: one run more for each of them, without the others",
}
COSTLY = ("harm",)
"""Worked out only where an experiment names them."""
