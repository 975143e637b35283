"""What both ends of NVMe/TCP agree on: ports, sizes and limits.

Follows the NVMe/TCP transport specification 1.0; sizes that it leaves open as Linux and SPDK have them.
"""

from __future__ import annotations

NVME_TCP_PORT = 4420
"""The port that hosts of this project ask at; IANA has 4420 for NVMe over Fabrics and 8009 for discovery."""
DISCOVERY_PORT = 8009

ADMIN_IN_CAPSULE_BYTES = 8192
"""Data that the capsule of an admin or fabrics command may carry, whatever the controller says (NVMe/TCP 3.4.1)."""
IN_CAPSULE_BYTES_MAX = 32 << 10
"""Data that a target of this project takes in a capsule of an I/O command at most; more is better fetched."""
HOST_DATA_BYTES_MIN = 4096
"""The least that MAXH2CDATA may be (NVMe/TCP 3.6.2.3)."""
ALIGNMENT_MAX = 31
"""The largest HPDA and CPDA, 0-based dwords: 128 bytes."""
TERMINATE_DATA_BYTES = 128
"""How much of an offending header goes with a TermReq."""
DIGEST_BYTES = 4
HEADER_BYTES = 8
"""Of the common header."""
IC_BYTES = 128
"""Of ICReq and ICResp, which never carry digests."""
TERMINATE_TIMEOUT_NS = 2 * 10**9
"""How long whoever sent a TermReq waits for the other end to close (NVMe/TCP 3.5; Linux and SPDK wait longer)."""
OPEN_TIMEOUT_NS = 10 * 10**9
"""How long an initiator waits for a connection and the answer to its ICReq: a SYN is sent again after 1, 3 and 7 s."""
