"""RoCEv2 congestion management: ECN marks, CNPs, and the rate that they lead to (IBTA annex A17.9).

    CE-marked data packet -> NotificationPoint -> CNP to the queue pair that sent it
    CNP -> Controller (stacks.congestion) -> rate -> SendGate: data waits for its time, acknowledgements do not

All of it belongs to `ControlledQp`: a queue pair for which no controller was chosen has none of it and pays nothing.
"""

from stacks.rdma.congestion.config import CongestionConfig

__all__ = ["CongestionConfig"]
