"""What connecting is told: addresses, limits, private data, groups (rdma_addrinfo, rdma_conn_param)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.rdma.cm import ConnParam as CoreConnParam
from stacks.rdma.verbs.addr import AHAttr
from stacks.rdma.verbs.errors import PyverbsUserError
from wire.ibcm import RdmaPortSpace

if TYPE_CHECKING:
    from stacks.rdma.verbs.cm_events import CMEvent


class AddrInfo:
    """Where to listen, or to connect from and to.

    src, dst: IP addresses in numeric text form. src_service, dst_service: port numbers, as text or numbers.
    port_space: an RDMA_PS_ number. flags: RAI_PASSIVE for whoever listens.
    """

    def __init__(
        self,
        src: str | None = None,
        dst: str | None = None,
        src_service: str | int | None = None,
        dst_service: str | int | None = None,
        port_space: int = 0,
        flags: int = 0,
    ) -> None:
        self.src = src or ""
        self.dst = dst or ""
        self.src_port = _port(src_service)
        self.dst_port = _port(dst_service)
        self.port_space = RdmaPortSpace(port_space or RdmaPortSpace.TCP)
        self.is_passive = bool(flags & RAI_PASSIVE)

    def close(self) -> None:
        """Nothing: there is nothing to give back."""


class ConnParam:
    """What connect and accept say.

    resources: READs and atomics served at a time; depth: asked for at a time. retry, rnr_retry: 0 to 7. srq, qp_num: of
    a queue pair that the identifier does not know. data_len: how much of `private_data` counts.
    """

    def __init__(
        self,
        resources: int = 1,
        depth: int = 1,
        flow_control: int = 0,
        retry: int = 5,
        rnr_retry: int = 5,
        srq: int = 0,
        qp_num: int = 0,
        data_len: int = 0,
    ) -> None:
        self.resources = resources
        self.depth = depth
        self.flow_control = flow_control
        self.retry = retry
        self.rnr_retry = rnr_retry
        self.srq = srq
        self.qpn = qp_num
        self.private_data = bytes(data_len)

    def set_private_data(self, data: bytes | str) -> None:
        """What the peer gets to read with the request or the answer."""
        self.private_data = data.encode() if isinstance(data, str) else data

    @property
    def core(self) -> CoreConnParam:
        """The same for a core."""
        return CoreConnParam(
            private_data=self.private_data,
            responder_resources=self.resources,
            initiator_depth=self.depth,
            retry_count=self.retry,
            rnr_retry_count=self.rnr_retry,
            srq=bool(self.srq),
            qp_num=self.qpn,
        )


class UDParam:
    """Where datagrams go, as an event says it. ah_attr: for an address handle. qp_num, qkey: the queue pair."""

    def __init__(self, event: CMEvent) -> None:
        ud = event.core.ud
        if ud is None:
            raise PyverbsUserError(f"a {event.event_str()} says nothing of datagrams")
        self.ah_attr = AHAttr.of_vector(ud.av)
        self.qp_num = ud.qp_num
        self.qkey = ud.qkey


@dataclass(slots=True)
class JoinMCAttrEx:
    """addr: the group is its `src`. join_flags: an RDMA_MC_JOIN_FLAG_ number; all join to send and receive."""

    addr: AddrInfo
    comp_mask: int = 0
    join_flags: int = 0


def _port(service: str | int | None) -> int:
    try:
        return int(service or 0)
    except ValueError:
        raise PyverbsUserError(f"a port is a number, not {service}") from None


RAI_PASSIVE = 1
