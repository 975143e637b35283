"""The enums of libibverbs (verbs.h) under their C names: `ibv_qp_type` as a class, `IBV_QPT_RC` as its member.

The numbers are those of `stacks.rdma.enums`, which is what programs of this house use among themselves; here is what a
program brings along that was written for pyverbs.
"""

from __future__ import annotations

from stacks.rdma.verbs.enum_tables import EnumTable, members


def __getattr__(name: str) -> int:
    """For type checkers, which cannot look into the tables: every IBV_ name is an integer."""
    raise AttributeError(f"libibverbs has no {name}")


_TABLES: EnumTable = {
    "ibv_access_flags": (
        "IBV_ACCESS_",
        """
        LOCAL_WRITE=1 REMOTE_WRITE=2 REMOTE_READ=4 REMOTE_ATOMIC=8 MW_BIND=16 ZERO_BASED=32 ON_DEMAND=64
        HUGETLB=128 FLUSH_GLOBAL=256 FLUSH_PERSISTENT=512 RELAXED_ORDERING=0x100000
        """,
    ),
    "ibv_atomic_cap": ("IBV_ATOMIC_", "NONE=0 HCA=1 GLOB=2"),
    "ibv_counter_description": ("IBV_COUNTER_", "PACKETS=0 BYTES=1"),
    "ibv_cq_init_attr_mask": ("IBV_CQ_INIT_ATTR_MASK_", "FLAGS=1 PD=2"),
    "ibv_create_cq_attr_flags": ("IBV_CREATE_CQ_ATTR_", "SINGLE_THREADED=1 IGNORE_OVERRUN=2"),
    "ibv_create_cq_wc_flags": (
        "IBV_WC_EX_WITH_",
        """
        BYTE_LEN=1 IMM=2 QP_NUM=4 SRC_QP=8 SLID=16 SL=32 DLID_PATH_BITS=64 COMPLETION_TIMESTAMP=128
        CVLAN=256 FLOW_TAG=512 TM_INFO=0x400 COMPLETION_TIMESTAMP_WALLCLOCK=0x800
        """,
    ),
    "ibv_device_cap_flags": (
        "IBV_DEVICE_",
        """
        RESIZE_MAX_WR=1 BAD_PKEY_CNTR=2 BAD_QKEY_CNTR=4 RAW_MULTI=8 AUTO_PATH_MIG=16 CHANGE_PHY_PORT=32
        UD_AV_PORT_ENFORCE=64 CURR_QP_STATE_MOD=128 SHUTDOWN_PORT=256 INIT_TYPE=512 PORT_ACTIVE_EVENT=0x400
        SYS_IMAGE_GUID=0x800 RC_RNR_NAK_GEN=0x1000 SRQ_RESIZE=0x2000 N_NOTIFY_CQ=0x4000 MEM_WINDOW=0x20000
        UD_IP_CSUM=0x40000 XRC=0x100000 MEM_MGT_EXTENSIONS=0x200000 MEM_WINDOW_TYPE_2A=0x800000
        MEM_WINDOW_TYPE_2B=0x1000000 RC_IP_CSUM=0x2000000 RAW_IP_CSUM=0x4000000
        MANAGED_FLOW_STEERING=0x20000000
        """,
    ),
    "ibv_event_type": (
        "IBV_EVENT_",
        """
        CQ_ERR=0 QP_FATAL=1 QP_REQ_ERR=2 QP_ACCESS_ERR=3 COMM_EST=4 SQ_DRAINED=5 PATH_MIG=6 PATH_MIG_ERR=7
        DEVICE_FATAL=8 PORT_ACTIVE=9 PORT_ERR=10 LID_CHANGE=11 PKEY_CHANGE=12 SM_CHANGE=13 SRQ_ERR=14
        SRQ_LIMIT_REACHED=15 QP_LAST_WQE_REACHED=16 CLIENT_REREGISTER=17 GID_CHANGE=18 WQ_FATAL=19
        DEVICE_SPEED_CHANGE=20
        """,
    ),
    "ibv_flow_attr_type": ("IBV_FLOW_ATTR_", "NORMAL=0 ALL_DEFAULT=1 MC_DEFAULT=2 SNIFFER=3"),
    "ibv_flow_flags": ("IBV_FLOW_ATTR_FLAGS_", "DONT_TRAP=2 EGRESS=4"),
    "ibv_flow_spec_type": (
        "IBV_FLOW_SPEC_",
        """
        ETH=32 IPV4=48 IPV6=49 IPV4_EXT=50 ESP=52 TCP=64 UDP=65 VXLAN_TUNNEL=80 GRE=81 MPLS=96 INNER=256
        ACTION_TAG=0x1000 ACTION_DROP=0x1001 ACTION_HANDLE=0x1002 ACTION_COUNT=0x1003
        """,
    ),
    "ibv_flush_selectivity": ("IBV_FLUSH_", "RANGE=0 MR=1"),
    "ibv_flush_type": ("IBV_FLUSH_", "GLOBAL=1 PERSISTENT=2"),
    "ibv_fork_status": ("IBV_FORK_", "DISABLED=0 ENABLED=1 UNNEEDED=2"),
    "ibv_gid_type": ("IBV_GID_TYPE_", "IB=0 ROCE_V1=1 ROCE_V2=2"),
    "ibv_gid_type_sysfs": ("IBV_GID_TYPE_SYSFS_", "IB_ROCE_V1=0 ROCE_V2=1"),
    "ibv_mig_state": ("IBV_MIG_", "MIGRATED=0 REARM=1 ARMED=2"),
    "ibv_mtu": ("IBV_MTU_", "256=1 512=2 1024=3 2048=4 4096=5"),
    "ibv_mw_type": ("IBV_MW_TYPE_", "1=1 2=2"),
    "ibv_node_type": ("IBV_NODE_", "UNKNOWN=-1 CA=1 SWITCH=2 ROUTER=3 RNIC=4 USNIC=5 USNIC_UDP=6 UNSPECIFIED=7"),
    "ibv_odp_general_caps": ("IBV_ODP_", "SUPPORT=1 SUPPORT_IMPLICIT=2"),
    "ibv_odp_transport_cap_bits": ("IBV_ODP_SUPPORT_", "SEND=1 RECV=2 WRITE=4 READ=8 ATOMIC=16 SRQ_RECV=32"),
    "ibv_ops_flags": ("IBV_OPS_", "SIGNALED=1 TM_SYNC=2"),
    "ibv_ops_wr_opcode": ("IBV_WR_TAG_", "ADD=0 DEL=1 SYNC=2"),
    "ibv_parent_domain_init_attr_mask": ("IBV_PARENT_DOMAIN_INIT_ATTR_", "ALLOCATORS=1 PD_CONTEXT=2"),
    "ibv_port_cap_flags": (
        "IBV_PORT_",
        """
        SM=2 NOTICE_SUP=4 TRAP_SUP=8 OPT_IPD_SUP=16 AUTO_MIGR_SUP=32 SL_MAP_SUP=64 MKEY_NVRAM=128
        PKEY_NVRAM=256 LED_INFO_SUP=512 SYS_IMAGE_GUID_SUP=0x800 PKEY_SW_EXT_PORT_TRAP_SUP=0x1000
        EXTENDED_SPEEDS_SUP=0x4000 CAP_MASK2_SUP=0x8000 CM_SUP=0x10000 SNMP_TUNNEL_SUP=0x20000
        REINIT_SUP=0x40000 DEVICE_MGMT_SUP=0x80000 VENDOR_CLASS_SUP=0x100000 DR_NOTICE_SUP=0x200000
        CAP_MASK_NOTICE_SUP=0x400000 BOOT_MGMT_SUP=0x800000 LINK_LATENCY_SUP=0x1000000
        CLIENT_REG_SUP=0x2000000 IP_BASED_GIDS=0x4000000
        """,
    ),
    "ibv_port_cap_flags2": (
        "IBV_PORT_",
        """
        SET_NODE_DESC_SUP=1 INFO_EXT_SUP=2 VIRT_SUP=4 SWITCH_PORT_STATE_TABLE_SUP=8 LINK_WIDTH_2X_SUP=16
        LINK_SPEED_HDR_SUP=32 LINK_SPEED_NDR_SUP=0x400
        """,
    ),
    "ibv_port_state": ("IBV_PORT_", "NOP=0 DOWN=1 INIT=2 ARMED=3 ACTIVE=4 ACTIVE_DEFER=5"),
    "ibv_qp_attr_mask": (
        "IBV_QP_",
        """
        STATE=1 CUR_STATE=2 EN_SQD_ASYNC_NOTIFY=4 ACCESS_FLAGS=8 PKEY_INDEX=16 PORT=32 QKEY=64 AV=128
        PATH_MTU=256 TIMEOUT=512 RETRY_CNT=0x400 RNR_RETRY=0x800 RQ_PSN=0x1000 MAX_QP_RD_ATOMIC=0x2000
        ALT_PATH=0x4000 MIN_RNR_TIMER=0x8000 SQ_PSN=0x10000 MAX_DEST_RD_ATOMIC=0x20000
        PATH_MIG_STATE=0x40000 CAP=0x80000 DEST_QPN=0x100000 RATE_LIMIT=0x2000000
        """,
    ),
    "ibv_qp_create_flags": (
        "IBV_QP_CREATE_",
        """
        BLOCK_SELF_MCAST_LB=2 SCATTER_FCS=256 CVLAN_STRIPPING=512 SOURCE_QPN=0x400
        PCI_WRITE_END_PADDING=0x800
        """,
    ),
    "ibv_qp_create_send_ops_flags": (
        "IBV_QP_EX_WITH_",
        """
        RDMA_WRITE=1 RDMA_WRITE_WITH_IMM=2 SEND=4 SEND_WITH_IMM=8 RDMA_READ=16 ATOMIC_CMP_AND_SWP=32
        ATOMIC_FETCH_AND_ADD=64 LOCAL_INV=128 BIND_MW=256 SEND_WITH_INV=512 TSO=0x400 FLUSH=0x800
        ATOMIC_WRITE=0x1000
        """,
    ),
    "ibv_qp_init_attr_mask": (
        "IBV_QP_INIT_ATTR_",
        "PD=1 XRCD=2 CREATE_FLAGS=4 MAX_TSO_HEADER=8 IND_TABLE=16 RX_HASH=32 SEND_OPS_FLAGS=64",
    ),
    "ibv_qp_state": ("IBV_QPS_", "RESET=0 INIT=1 RTR=2 RTS=3 SQD=4 SQE=5 ERR=6 UNKNOWN=7"),
    "ibv_qp_type": ("IBV_QPT_", "RC=2 UC=3 UD=4 RAW_PACKET=8 XRC_SEND=9 XRC_RECV=10 DRIVER=255"),
    "ibv_raw_packet_caps": ("IBV_RAW_PACKET_CAP_", "CVLAN_STRIPPING=1 SCATTER_FCS=2 IP_CSUM=4 DELAY_DROP=8"),
    "ibv_read_counters_flags": ("IBV_READ_COUNTERS_ATTR_", "PREFER_CACHED=1"),
    "ibv_rereg_mr_err_code": (
        "IBV_REREG_MR_ERR_",
        "CMD_AND_DO_FORK_NEW=-5 CMD=-4 DO_FORK_OLD=-3 DONT_FORK_NEW=-2 INPUT=-1",
    ),
    "ibv_rereg_mr_flags": ("IBV_REREG_MR_CHANGE_", "TRANSLATION=1 PD=2 ACCESS=4"),
    "ibv_rx_hash_fields": (
        "IBV_RX_HASH_",
        """
        SRC_IPV4=1 DST_IPV4=2 SRC_IPV6=4 DST_IPV6=8 SRC_PORT_TCP=16 DST_PORT_TCP=32 SRC_PORT_UDP=64
        DST_PORT_UDP=128
        """,
    ),
    "ibv_rx_hash_function_flags": ("IBV_RX_HASH_FUNC_", "TOEPLITZ=1"),
    "ibv_send_flags": ("IBV_SEND_", "FENCE=1 SIGNALED=2 SOLICITED=4 INLINE=8 IP_CSUM=16"),
    "ibv_srq_attr_mask": ("IBV_SRQ_", "MAX_WR=1 LIMIT=2"),
    "ibv_srq_init_attr_mask": ("IBV_SRQ_INIT_ATTR_", "TYPE=1 PD=2 XRCD=4 CQ=8 TM=16"),
    "ibv_srq_type": ("IBV_SRQT_", "BASIC=0 XRC=1 TM=2"),
    "ibv_tm_cap_flags": ("IBV_TM_CAP_", "RC=1"),
    "ibv_tmh_op": ("IBV_TMH_", "NO_TAG=0 RNDV=1 FIN=2 EAGER=3"),
    "ibv_transport_type": ("IBV_TRANSPORT_", "UNKNOWN=-1 IB=0 IWARP=1 USNIC=2 USNIC_UDP=3"),
    "ibv_values_mask": ("IBV_VALUES_MASK_", "RAW_CLOCK=1"),
    "ibv_wc_flags": (
        "IBV_WC_",
        "GRH=1 WITH_IMM=2 IP_CSUM_OK=4 WITH_INV=8 TM_SYNC_REQ=16 TM_MATCH=32 TM_DATA_VALID=64",
    ),
    "ibv_wc_opcode": (
        "IBV_WC_",
        """
        SEND=0 RDMA_WRITE=1 RDMA_READ=2 COMP_SWAP=3 FETCH_ADD=4 BIND_MW=5 LOCAL_INV=6 TSO=7 FLUSH=8
        ATOMIC_WRITE=9 RECV=128 RECV_RDMA_WITH_IMM=129 TM_ADD=130 TM_DEL=131 TM_SYNC=132 TM_RECV=133
        TM_NO_TAG=134 DRIVER2=136 DRIVER3=137
        """,
    ),
    "ibv_wc_status": (
        "IBV_WC_",
        """
        SUCCESS=0 LOC_LEN_ERR=1 LOC_QP_OP_ERR=2 LOC_EEC_OP_ERR=3 LOC_PROT_ERR=4 WR_FLUSH_ERR=5 MW_BIND_ERR=6
        BAD_RESP_ERR=7 LOC_ACCESS_ERR=8 REM_INV_REQ_ERR=9 REM_ACCESS_ERR=10 REM_OP_ERR=11 RETRY_EXC_ERR=12
        RNR_RETRY_EXC_ERR=13 LOC_RDD_VIOL_ERR=14 REM_INV_RD_REQ_ERR=15 REM_ABORT_ERR=16 INV_EECN_ERR=17
        INV_EEC_STATE_ERR=18 FATAL_ERR=19 RESP_TIMEOUT_ERR=20 GENERAL_ERR=21 TM_ERR=22 TM_RNDV_INCOMPLETE=23
        """,
    ),
    "ibv_wq_attr_mask": ("IBV_WQ_ATTR_", "STATE=1 CURR_STATE=2 FLAGS=4"),
    "ibv_wq_flags": ("IBV_WQ_FLAGS_", "CVLAN_STRIPPING=1 SCATTER_FCS=2 DELAY_DROP=4 PCI_WRITE_END_PADDING=8"),
    "ibv_wq_init_attr_mask": ("IBV_WQ_INIT_ATTR_", "FLAGS=1"),
    "ibv_wq_state": ("IBV_WQS_", "RESET=0 RDY=1 ERR=2 UNKNOWN=3"),
    "ibv_wq_type": ("IBV_WQT_", "RQ=0"),
    "ibv_wr_opcode": (
        "IBV_WR_",
        """
        RDMA_WRITE=0 RDMA_WRITE_WITH_IMM=1 SEND=2 SEND_WITH_IMM=3 RDMA_READ=4 ATOMIC_CMP_AND_SWP=5
        ATOMIC_FETCH_AND_ADD=6 LOCAL_INV=7 BIND_MW=8 SEND_WITH_INV=9 TSO=10 DRIVER1=11 FLUSH=14
        ATOMIC_WRITE=15
        """,
    ),
    "ibv_xrcd_init_attr_mask": ("IBV_XRCD_INIT_ATTR_", "FD=1 OFLAGS=2 RESERVED=4"),
}

_LOOSE = {
    "IBV_LINK_LAYER_UNSPECIFIED": 0,
    "IBV_LINK_LAYER_INFINIBAND": 1,
    "IBV_LINK_LAYER_ETHERNET": 2,
    "IBV_QPF_GRH_REQUIRED": 1,
    "IBV_WC_STANDARD_FLAGS": 0x7F,
    "_IBV_DEVICE_RAW_SCATTER_FCS": 1 << 34,
    "_IBV_DEVICE_PCI_WRITE_END_PADDING": 1 << 36,
    "_IBV_ALLOCATOR_USE_DEFAULT": (1 << 64) - 1,
    "_IBV_ADVISE_MR_ADVICE_PREFETCH": 0,
    "_IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE": 1,
    "_IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT": 2,
    "_IBV_ADVISE_MR_FLAG_FLUSH": 1,
}
"""Constants that verbs.h has outside an enum, or that pyverbs hides behind an underscore."""

globals().update(members(_TABLES, __name__))
globals().update(_LOOSE)
