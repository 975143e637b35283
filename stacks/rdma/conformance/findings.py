"""What a check can find: the rules by name, and the packet that broke one."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Rule(enum.StrEnum):
    """The rules; each with where it is written."""

    ICRC = "icrc"
    FORMAT = "format"
    OPCODE_ORDER = "opcode-order"
    SENDER = "go-back-n-sender"
    RECEIVER = "go-back-n-receiver"
    END = "go-back-n-end"
    READ_REQUEST = "read-request"
    READ_RESPONSE = "read-response"
    CNP = "cnp"

    @property
    def section(self) -> str:
        """Document and section."""
        return _SECTIONS[self]


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that was broken.

    packet: number in the capture, from 1 as Wireshark counts; 0 for what was missing at its end. time_ns: since 1970.
    flow: source, destination and destination QP. text: what was seen, and what was expected.
    """

    packet: int
    time_ns: int
    rule: Rule
    flow: str
    text: str


_SECTIONS = {
    Rule.ICRC: "IBTA 7.8.1, A17.3.3",
    Rule.FORMAT: "IBTA 9.2",
    Rule.OPCODE_ORDER: "IBTA 9.7.4.1.2",
    Rule.SENDER: "IBTA 9.7.5.1.1, 9.9.2.4",
    Rule.RECEIVER: "IBTA 9.7.5.1.2, 9.9.2.2",
    Rule.END: "IBTA 9.7.5.1",
    Rule.READ_REQUEST: "IBTA 9.7.5.1.1, 9.9.2.4.2",
    Rule.READ_RESPONSE: "IBTA 9.7.5.1.9",
    Rule.CNP: "IBTA A17.9.3",
}
