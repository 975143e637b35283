"""RoCEv2 packets: BTH, extended headers, opcodes and the ICRC (IBTA volume 1 chapter 9, annexes A14, A17, A19)."""

from wire.roce.headers_codec import (
    Aeth,
    AtomicAckEth,
    AtomicEth,
    Bth,
    Deth,
    Feth,
    Ieth,
    ImmDt,
    Rdeth,
    Reth,
    XrcEth,
)

__all__ = [
    "Aeth",
    "AtomicAckEth",
    "AtomicEth",
    "Bth",
    "Deth",
    "Feth",
    "Ieth",
    "ImmDt",
    "Rdeth",
    "Reth",
    "XrcEth",
]
