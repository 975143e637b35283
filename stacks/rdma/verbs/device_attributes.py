"""What a device and its port tell about themselves: ibv_device_attr(_ex), ibv_port_attr, ibv_gid_entry.

Attributes are named as the C fields. What no software device has (LIDs, subnet manager, raw packets, receive hashes,
tag matching, segmentation offload) reads 0, as on Linux rxe.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from stacks.rdma.verbs.addr import GID


@dataclass(slots=True, kw_only=True)
class DeviceAttr:
    """Limits of a device."""

    fw_version: str = ""
    node_guid: int = 0
    sys_image_guid: int = 0
    max_mr_size: int = 0xFFFF_FFFF_FFFF_FFFF
    page_size_cap: int = 0xFFFF_F000
    vendor_id: int = 0
    vendor_part_id: int = 0
    hw_ver: int = 0
    max_qp: int = 0
    max_qp_wr: int = 0
    device_cap_flags: int = 0
    max_sge: int = 0
    max_sge_rd: int = 0
    max_cq: int = 0
    max_cqe: int = 0
    max_mr: int = 0
    max_pd: int = 0
    max_qp_rd_atom: int = 0
    max_ee_rd_atom: int = 0
    max_res_rd_atom: int = 0
    max_qp_init_rd_atom: int = 0
    max_ee_init_rd_atom: int = 0
    atomic_caps: int = 0
    max_ee: int = 0
    max_rdd: int = 0
    max_mw: int = 0
    max_raw_ipv6_qps: int = 0
    max_raw_ethy_qp: int = 0
    max_mcast_grp: int = 0
    max_mcast_qp_attach: int = 0
    max_ah: int = 0
    max_fmr: int = 0
    max_map_per_fmr: int = 0
    max_srq: int = 0
    max_srq_wr: int = 0
    max_srq_sge: int = 0
    max_pkeys: int = 1
    local_ca_ack_delay: int = 15
    phys_port_cnt: int = 1


@dataclass(slots=True, kw_only=True)
class ODPCaps:
    """On-demand paging: IBV_ODP_SUPPORT bits, and per transport which operations may meet a page that is not there."""

    general_caps: int = 0
    rc_odp_caps: int = 0
    uc_odp_caps: int = 0
    ud_odp_caps: int = 0
    xrc_odp_caps: int = 0


@dataclass(slots=True, kw_only=True)
class TSOCaps:
    """Segmentation offload of TCP: none."""

    max_tso: int = 0
    supported_qpts: int = 0


@dataclass(slots=True, kw_only=True)
class RSSCaps:
    """Receive-side scaling: none."""

    supported_qpts: int = 0
    max_rwq_indirection_tables: int = 0
    max_rwq_indirection_table_size: int = 0
    rx_hash_fields_mask: int = 0
    rx_hash_function: int = 0


@dataclass(slots=True, kw_only=True)
class PacketPacingCaps:
    """Rate limits of queue pairs: none."""

    qp_rate_limit_min: int = 0
    qp_rate_limit_max: int = 0
    supported_qpts: int = 0


@dataclass(slots=True, kw_only=True)
class TMCaps:
    """Tag matching: none."""

    max_rndv_hdr_size: int = 0
    max_num_tags: int = 0
    flags: int = 0
    max_ops: int = 0
    max_sge: int = 0


@dataclass(slots=True, kw_only=True)
class CQModerationCaps:
    """How long completion events may be held back: entries and microseconds."""

    max_cq_count: int = 0
    max_cq_period: int = 0


@dataclass(slots=True, kw_only=True)
class PCIAtomicCaps:
    """Atomics over PCI: none."""

    fetch_add: int = 0
    swap: int = 0
    compare_swap: int = 0


@dataclass(slots=True, kw_only=True)
class DeviceAttrEx:
    """Limits and features. completion_timestamp_mask: bits of a completion's timestamp, in ticks of hca_core_clock kHz.

    max_dm_size: bytes of device memory.
    """

    orig_attr: DeviceAttr = field(default_factory=DeviceAttr)
    comp_mask: int = 0
    odp_caps: ODPCaps = field(default_factory=ODPCaps)
    completion_timestamp_mask: int = 0
    hca_core_clock: int = 0
    device_cap_flags_ex: int = 0
    tso_caps: TSOCaps = field(default_factory=TSOCaps)
    pci_atomic_caps: PCIAtomicCaps = field(default_factory=PCIAtomicCaps)
    rss_caps: RSSCaps = field(default_factory=RSSCaps)
    max_wq_type_rq: int = 0
    packet_pacing_caps: PacketPacingCaps = field(default_factory=PacketPacingCaps)
    raw_packet_caps: int = 0
    tm_caps: TMCaps = field(default_factory=TMCaps)
    cq_mod_caps: CQModerationCaps = field(default_factory=CQModerationCaps)
    max_dm_size: int = 0
    phys_port_cnt_ex: int = 1


@dataclass(slots=True, kw_only=True)
class PortAttr:
    """State of a port. max_mtu, active_mtu: IBV_MTU_ numbers. max_msg_sz: bytes."""

    state: int = 4
    max_mtu: int = 5
    active_mtu: int = 3
    gid_tbl_len: int = 16
    port_cap_flags: int = 0
    max_msg_sz: int = 1 << 31
    bad_pkey_cntr: int = 0
    qkey_viol_cntr: int = 0
    pkey_tbl_len: int = 1
    lid: int = 0
    sm_lid: int = 0
    lmc: int = 0
    max_vl_num: int = 1
    sm_sl: int = 0
    subnet_timeout: int = 0
    init_type_reply: int = 0
    active_width: int = 1
    active_speed: int = 1
    phys_state: int = 5
    link_layer: int = 2
    flags: int = 0
    port_cap_flags2: int = 0


@dataclass(slots=True, kw_only=True)
class GIDEntry:
    """An entry of a GID table. gid_type: an IBV_GID_TYPE_ number."""

    gid: GID
    gid_index: int
    port_num: int
    gid_type: int
    ndev_ifindex: int = 0

    def gid_str(self) -> str:
        """The GID as text."""
        return self.gid.gid
