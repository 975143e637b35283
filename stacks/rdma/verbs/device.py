"""Devices and contexts: where every program begins (IBTA 11.2.1).

for device in get_device_list(): ...
with Context(name="bm0") as context: ...
"""

from __future__ import annotations

import errno
from ipaddress import ip_address

from stacks.rdma import device as core
from stacks.rdma.verbs.addr import GID
from stacks.rdma.verbs.async_events import AsyncEvent
from stacks.rdma.verbs.device_attributes import (
    CQModerationCaps,
    DeviceAttr,
    DeviceAttrEx,
    GIDEntry,
    ODPCaps,
    PortAttr,
)
from stacks.rdma.verbs.errors import PyverbsRDMAError, PyverbsUserError, failing_with
from stacks.rdma.verbs.host import Host, OpenDevice, default_host
from stacks.rdma.verbs.objects import VerbsObject
from stacks.rdma.verbs.sharing import Handles, context_of


class Device:
    """A device that can be opened, whether or not anybody has it open."""

    def __init__(self, name: str, guid: int, node_type: int, transport_type: int, index: int) -> None:
        self.name = name.encode()
        self.guid = guid
        self.node_type = node_type
        self.transport_type = transport_type
        self.index = index

    def __str__(self) -> str:
        return f"Device {self.index}, name {self.name.decode()}, GUID {self.guid:016x}"


def get_device_list(host: Host | None = None) -> list[Device]:
    """The devices of this process: bm0, bm1, ...; see `Host`."""
    addresses = (host or default_host()).addresses
    return [
        Device(name, guid_of(address), NODE_CA, TRANSPORT_IB, index)
        for index, (name, address) in enumerate(addresses.items())
    ]


class Context(VerbsObject):
    """An open device.

    name: one of `get_device_list`, or any IP address of this machine. host: see `Host`; the process's by default.
    attr: anything with a `name`, as some programs pass it. cmd_fd: the file of a context of this process, or a
    duplicate of it: the same device again, whose objects may be imported.
    Raises PyverbsRDMAError when the address or its UDP port 4791 cannot be had, PyverbsUserError for unknown names.
    """

    def __init__(
        self, name: str = "", *, attr: object = None, cmd_fd: int | None = None, host: Host | None = None
    ) -> None:
        source = None if cmd_fd is None else context_of(cmd_fd)
        if source is not None:
            name, host = source.address, source.host
        name = name or str(getattr(attr, "name", ""))
        if not name:
            raise PyverbsUserError("Cannot open a device without a name")
        host = host or default_host()
        self._attach(host.open(name), None if source is None else source.handles)

    @classmethod
    def towards(cls, destination: str, *, source: str = "", host: Host | None = None) -> Context:
        """The device from which `destination` is reached: at `source`, or see `Host.open_towards`.

        An address reaches itself only within its process; where source and destination are the same, the former is
        no more than a wish.
        """
        if source and source != destination:
            return cls(source, host=host)
        context = cls.__new__(cls)
        context._attach((host or default_host()).open_towards(destination), None)  # noqa: SLF001 (of the same class)
        return context

    def _attach(self, opened: OpenDevice, handles: Handles | None) -> None:
        super().__init__(opened.host)
        self._opened = opened
        self.host: Host = opened.host
        self.device: core.Device = opened.device
        self.name = opened.name
        self.handles: Handles = handles or Handles(self)
        self._owns_handles = handles is None

    @property
    def address(self) -> str:
        """The device's IP address, in numeric text form."""
        return self._opened.address

    @property
    def num_comp_vectors(self) -> int:
        """Completion vectors; there are no interrupts to spread here."""
        return 1

    @property
    def cmd_fd(self) -> int:
        """A file that names this context, for `Context(cmd_fd=...)`."""
        return self.handles.cmd_fd

    # What it can do

    def query_device(self) -> DeviceAttr:
        """The device's limits."""
        limits = self.device.query()
        return DeviceAttr(
            fw_version="1.0",
            node_guid=guid_of(self.address),
            sys_image_guid=guid_of(self.address),
            vendor_id=VENDOR_NONE,
            max_qp=limits.max_qp,
            max_qp_wr=limits.max_qp_wr,
            device_cap_flags=CAPABILITIES,
            max_sge=limits.max_sge,
            max_sge_rd=limits.max_sge,
            max_cq=limits.max_cq,
            max_cqe=limits.max_cqe,
            max_mr=limits.max_mr,
            max_pd=limits.max_pd,
            max_qp_rd_atom=limits.max_qp_rd_atom,
            max_res_rd_atom=limits.max_qp_rd_atom * limits.max_qp,
            max_qp_init_rd_atom=limits.max_qp_rd_atom,
            atomic_caps=ATOMIC_HCA,
            max_mw=limits.max_mw,
            max_mcast_grp=MULTICAST_GROUPS,
            max_mcast_qp_attach=limits.max_qp,
            max_ah=limits.max_ah,
            max_srq=limits.max_srq,
            max_srq_wr=limits.max_srq_wr,
            max_srq_sge=limits.max_srq_sge,
            max_pkeys=limits.max_pkeys,
            local_ca_ack_delay=limits.local_ca_ack_delay,
        )

    def query_device_ex(self, ex_input: object = None) -> DeviceAttrEx:  # noqa: ARG002  # C takes none either
        """The device's limits and features."""
        return DeviceAttrEx(
            orig_attr=self.query_device(),
            completion_timestamp_mask=(1 << 64) - 1,
            hca_core_clock=1_000_000,
            odp_caps=ODPCaps(
                general_caps=ODP_SUPPORT | ODP_SUPPORT_IMPLICIT,
                rc_odp_caps=ODP_EVERY_OPERATION,
                uc_odp_caps=ODP_EVERY_OPERATION,
                ud_odp_caps=ODP_EVERY_OPERATION,
                xrc_odp_caps=ODP_EVERY_OPERATION,
            ),
            cq_mod_caps=CQModerationCaps(max_cq_count=0xFFFF, max_cq_period=0xFFFF),
            max_dm_size=self.device.config.memory.device_memory_bytes,
        )

    def query_port(self, port_num: int) -> PortAttr:
        """The state of port 1, the only one."""
        self._check_port(port_num, "Failed to query port")
        port = self.device.query_port()
        return PortAttr(
            state=port.state,
            max_mtu=_mtu_number(port.max_mtu),
            active_mtu=_mtu_number(port.active_mtu),
            gid_tbl_len=port.gid_table_length,
            pkey_tbl_len=port.pkey_table_length,
            max_msg_sz=port.max_message_bytes,
            lid=port.lid,
            sm_lid=port.sm_lid,
        )

    def query_gid(self, port_num: int, index: int) -> GID:
        """An entry of the GID table; zero where there is none. The device's address is entry 0."""
        self._check_port(port_num, "Failed to query gid")
        with failing_with(f"Failed to query gid {index} of port {port_num}"):
            return GID(str(self.device.query_gid(index)))

    def query_gid_ex(self, port_num: int, gid_index: int, flags: int = 0) -> GIDEntry:  # noqa: ARG002  # none is defined
        """An entry of the GID table; ENODATA where there is none."""
        gid = self.query_gid(port_num, gid_index)
        if gid.is_zero:
            raise PyverbsRDMAError(f"Failed to query gid {gid_index} of port {port_num}", errno.ENODATA)
        return GIDEntry(gid=gid, gid_index=gid_index, port_num=port_num, gid_type=GID_TYPE_ROCE_V2)

    def query_gid_table(self, max_entries: int, flags: int = 0) -> list[GIDEntry]:  # noqa: ARG002  # none is defined
        """The GID table's entries that are not empty; -EINVAL when there are more than `max_entries`."""
        length = self.device.query_port().gid_table_length
        entries = [self.query_gid_ex(1, index) for index in range(length) if not self.query_gid(1, index).is_zero]
        if len(entries) > max_entries:
            raise PyverbsRDMAError("Failed to query gid table", -errno.EINVAL)
        return entries

    def query_gid_type(self, port_num: int, index: int) -> int:
        """An IBV_GID_TYPE_SYSFS_ number."""
        self.query_gid(port_num, index)
        return GID_TYPE_SYSFS_ROCE_V2

    def query_pkey(self, port_num: int, index: int) -> int:
        """The P_Key at an index, as it lies in memory; there is the default one only."""
        self._check_port(port_num, "Failed to query pkey")
        with failing_with(f"Failed to query pkey {index} of port {port_num}"):
            return self.device.query_pkey(index)

    def get_pkey_index(self, port_num: int, pkey: int) -> int:
        """Where a P_Key stands; -1 when nowhere."""
        self._check_port(port_num, "Failed to query pkey index")
        return 0 if pkey == 0xFFFF else -1

    def get_async_event(self, *, timeout_ns: int | None = None) -> AsyncEvent:
        """Sleep until an event comes; TimeoutError after `timeout_ns`.

        DEVIATION: contexts of a process that share a device share its events; whoever asks first gets the next.
        """
        events: list[AsyncEvent] = []

        def has_event() -> bool:
            event = self.device.poll_async_event()
            if event is not None:
                events.append(AsyncEvent(event))
            return bool(events)

        if not self.host.wait_until(has_event, timeout_ns=timeout_ns):
            raise TimeoutError("no asynchronous event came")
        return events[0]

    # Inside

    def _check_port(self, port_num: int, what: str) -> None:
        if port_num != 1:
            raise PyverbsRDMAError(f"{what} {port_num}: there is port 1 only", errno.EINVAL)

    def _release(self) -> None:
        if self._owns_handles:
            self.handles.close()
        self._opened.release()


def _mtu_number(path_mtu: int) -> int:
    return path_mtu.bit_length() - 8


def guid_of(address: str) -> int:
    """A GUID that tells devices apart: made up locally, and the end of the address (EUI-64, IEEE 802 8.2.2)."""
    return 0x0200_00FF_FE00_0000 ^ int(ip_address(address)) & 0xFFFF_FFFF


NODE_CA = 1
TRANSPORT_IB = 0
ATOMIC_HCA = 1
VENDOR_NONE = 0xFFFFFF
"""As rxe has it: nobody's, and not 0."""
MULTICAST_GROUPS = 8192
"""As many as rxe says; here they cost memory alone."""
GID_TYPE_ROCE_V2 = 2
GID_TYPE_SYSFS_ROCE_V2 = 1
ODP_SUPPORT, ODP_SUPPORT_IMPLICIT = 1, 2
ODP_EVERY_OPERATION = 0x3F
"""Send, receive, write, read, atomic, and receive from a shared queue."""
CAPABILITIES = 0x0000_2000 | 0x0000_1000 | 0x0002_0000 | 0x0010_0000 | 0x0020_0000 | 0x0100_0000
"""IBV_DEVICE_ SRQ_RESIZE, RC_RNR_NAK_GEN, MEM_WINDOW, XRC, MEM_MGT_EXTENSIONS, MEM_WINDOW_TYPE_2B."""
