"""The numbers of the verbs interface (libibverbs verbs.h, IBTA 11).

Flags that are tested for every packet are plain integers in a class used as a name space: combining members of
`enum.IntFlag` costs a microsecond, a packet's whole budget.
"""

from __future__ import annotations

import enum


class QpType(enum.IntEnum):
    """Transport service of a queue pair."""

    RC = 2
    UC = 3
    UD = 4
    XRC_SEND = 9
    XRC_RECV = 10


class QpState(enum.IntEnum):
    """Queue pair states (IBTA 10.3.1)."""

    RESET = 0
    INIT = 1
    RTR = 2
    RTS = 3
    SQD = 4
    SQE = 5
    ERR = 6


class WrOpcode(enum.IntEnum):
    """What a send work request asks for."""

    RDMA_WRITE = 0
    RDMA_WRITE_WITH_IMM = 1
    SEND = 2
    SEND_WITH_IMM = 3
    RDMA_READ = 4
    ATOMIC_CMP_AND_SWP = 5
    ATOMIC_FETCH_AND_ADD = 6
    LOCAL_INV = 7
    BIND_MW = 8
    SEND_WITH_INV = 9
    FLUSH = 14
    ATOMIC_WRITE = 15
    REG_MR = 0x20
    """Of the kernel's verbs; the number is ours."""


class WcOpcode(enum.IntEnum):
    """What a completion completes."""

    SEND = 0
    RDMA_WRITE = 1
    RDMA_READ = 2
    COMP_SWAP = 3
    FETCH_ADD = 4
    BIND_MW = 5
    LOCAL_INV = 6
    FLUSH = 8
    ATOMIC_WRITE = 9
    REG_MR = 0x20
    RECV = 128
    RECV_RDMA_WITH_IMM = 129


class WcStatus(enum.IntEnum):
    """How a work request ended (IBTA 11.6.2)."""

    SUCCESS = 0
    LOC_LEN_ERR = 1
    LOC_QP_OP_ERR = 2
    LOC_EEC_OP_ERR = 3
    LOC_PROT_ERR = 4
    WR_FLUSH_ERR = 5
    MW_BIND_ERR = 6
    BAD_RESP_ERR = 7
    LOC_ACCESS_ERR = 8
    REM_INV_REQ_ERR = 9
    REM_ACCESS_ERR = 10
    REM_OP_ERR = 11
    RETRY_EXC_ERR = 12
    RNR_RETRY_EXC_ERR = 13
    LOC_RDD_VIOL_ERR = 14
    REM_INV_RD_REQ_ERR = 15
    REM_ABORT_ERR = 16
    INV_EECN_ERR = 17
    INV_EEC_STATE_ERR = 18
    FATAL_ERR = 19
    RESP_TIMEOUT_ERR = 20
    GENERAL_ERR = 21


class AsyncEventType(enum.IntEnum):
    """Events that belong to no work request (IBTA 11.6.3)."""

    CQ_ERR = 0
    QP_FATAL = 1
    QP_REQ_ERR = 2
    QP_ACCESS_ERR = 3
    COMM_EST = 4
    SQ_DRAINED = 5
    PATH_MIG = 6
    PATH_MIG_ERR = 7
    DEVICE_FATAL = 8
    PORT_ACTIVE = 9
    PORT_ERR = 10
    LID_CHANGE = 11
    PKEY_CHANGE = 12
    SM_CHANGE = 13
    SRQ_ERR = 14
    SRQ_LIMIT_REACHED = 15
    QP_LAST_WQE_REACHED = 16
    CLIENT_REREGISTER = 17
    GID_CHANGE = 18
    WQ_FATAL = 19
    DEVICE_SPEED_CHANGE = 20


class PathMigrationState(enum.IntEnum):
    """Where automatic path migration stands (IBTA 17.2.8)."""

    MIGRATED = 0
    REARM = 1
    ARMED = 2


class Nak(enum.IntEnum):
    """NAK codes, as they stand in the low five bits of the AETH syndrome (IBTA 9.7.5.2.8)."""

    PSN_SEQUENCE_ERROR = 0
    INVALID_REQUEST = 1
    REMOTE_ACCESS_ERROR = 2
    REMOTE_OPERATIONAL_ERROR = 3


class WcFlags:
    """Bits of `Wc.flags`."""

    GRH = 1
    WITH_IMM = 2
    WITH_INV = 8


class SendFlags:
    """Bits of `SendWr.flags`."""

    FENCE = 1
    SIGNALED = 2
    SOLICITED = 4
    INLINE = 8


class Access:
    """Access rights of a memory region; REMOTE_WRITE and REMOTE_ATOMIC need LOCAL_WRITE (IBTA 10.6.3, annex A19)."""

    LOCAL_WRITE = 1
    REMOTE_WRITE = 2
    REMOTE_READ = 4
    REMOTE_ATOMIC = 8
    MW_BIND = 16
    ZERO_BASED = 32
    ON_DEMAND = 64
    HUGETLB = 128
    FLUSH_GLOBAL = 256
    FLUSH_PERSISTENT = 512
    RELAXED_ORDERING = 1 << 20
    REMOTE_ANY = REMOTE_WRITE | REMOTE_READ | REMOTE_ATOMIC
    FLUSH_ANY = FLUSH_GLOBAL | FLUSH_PERSISTENT
    EVERYTHING = 1023 | RELAXED_ORDERING


class FlushPlacement:
    """Bits of the placement type of a FLUSH (annex A19): what the data must have reached when it is answered."""

    GLOBAL = 1
    PERSISTENT = 2


class FlushSelectivity(enum.IntEnum):
    """What a FLUSH covers (annex A19)."""

    RANGE = 0
    MEMORY_REGION = 1


SYNDROME_ACK = 0x1F
"""ACK without credit information."""
SYNDROME_RNR = 0x20
SYNDROME_NAK = 0x60

RNR_TIMER_NS = tuple(
    round(ms * 1_000_000)
    for ms in (
        655.36, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24, 0.32, 0.48, 0.64, 0.96, 1.28, 1.92,
        2.56, 3.84, 5.12, 7.68, 10.24, 15.36, 20.48, 30.72, 40.96, 61.44, 81.92, 122.88, 163.84, 245.76, 327.68, 491.52,
    )
)  # fmt: skip
"""RNR NAK timer field to nanoseconds (IBTA 9.7.5.2.8, table 45)."""


def ack_timeout_ns(field: int) -> int:
    """Local ACK timeout of a 5-bit field in ns, 4.096 us * 2^field; 0 stands for no timeout (IBTA 9.9.2.1.1)."""
    return 0 if field == 0 else 4096 << field
