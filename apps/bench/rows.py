"""The table: what each row is, where its value and its yardstick come from."""

from __future__ import annotations

from dataclasses import dataclass

from apps.bench.probes import Probe, codec_bth, iperf3, perf, udp_pingpong


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    name: also the name of the reading it shows. unit: of both values.
    yardstick: the reading it is divided by, or None. about: what it is, for the person who reads the table.
    is_over_loopback: whether packets are sent for it.
    """

    name: str
    unit: str
    yardstick: str | None
    about: str
    is_over_loopback: bool = True


def rows() -> list[Row]:
    """All rows, in the order of the table."""
    return [
        Row("rdma_write_1MiB", "MB/s", "iperf3_tcp_cubic", "one QP, MTU 4096, ICRC at both ends"),
        Row("rdma_write_cpu", "us", None, "the same run, processor time per 4 KiB packet, the costlier side"),
        Row("rdma_write_odd", "MB/s", "rdma_write_1MiB", "1 MiB + 17 bytes from an odd address in two SGEs"),
        Row("rdma_send_64B_qd64", "k/s", None, "SENDs with completions on both sides"),
        Row("rdma_lat_64B", "us", "udp_pingpong_busy", "half a round trip, busy polling"),
        Row("nvme_rdma_4k_randread_qd32", "k IOPS", None, "one connection, memory store filled with random data"),
        Row("nvme_rdma_128k_read", "MB/s", "iperf3_tcp_cubic", "queue depth 8"),
        Row("codec_bth", "ns", "struct_bth", "a BTH decoded, against its bytes unpacked", is_over_loopback=False),
        Row("iperf3_tcp_cubic", "MB/s", None, "yardstick: one TCP stream"),
        Row("iperf3_tcp_bbr", "MB/s", None, "for comparison: one TCP stream with bbr"),
        Row("udp_pingpong_busy", "us", None, "yardstick: 64 bytes over UDP in plain Python, busy polling"),
        Row("udp_pingpong_blocking", "us", None, "for comparison: the same, blocking"),
    ]


def probes() -> list[Probe]:
    """All probes, in the order of a round: a yardstick next to what it measures."""
    return [
        iperf3("cubic"),
        perf(
            "rdma_write_1MiB",
            "rdma --op write --block-size 1MiB --queue-depth 4 --time 2s",
            {
                "rdma_write_1MiB": lambda run: run["mb_per_s"],
                "rdma_write_cpu": lambda run: max(run["cpu_ns"], run["peer_cpu_ns"]) / run["operations"] / 256 / 1e3,
            },
        ),
        perf(
            "rdma_write_odd",
            "rdma --op write --block-size 1048593 --offset 1 --sges 2 --queue-depth 4 --time 2s",
            {"rdma_write_odd": lambda run: run["mb_per_s"]},
        ),
        perf(
            "rdma_send_64B_qd64",
            "rdma --op send --block-size 64 --queue-depth 64 --time 2s",
            {"rdma_send_64B_qd64": lambda run: run["iops"] / 1e3},
        ),
        udp_pingpong("busy"),
        perf(
            "rdma_lat_64B",
            "rdma --op ping --block-size 64 --time 2s",
            {"rdma_lat_64B": lambda run: run["latency_p50_ns"] / 1e3},
        ),
        udp_pingpong("blocking"),
        perf(
            "nvme_rdma_4k_randread_qd32",
            "nvme --rw randread --block-size 4k --queue-depth 32 --namespace mem:64MiB --fill --time 2s",
            {"nvme_rdma_4k_randread_qd32": lambda run: run["iops"] / 1e3},
        ),
        perf(
            "nvme_rdma_128k_read",
            "nvme --rw read --block-size 128k --queue-depth 8 --namespace mem:64MiB --fill --time 2s",
            {"nvme_rdma_128k_read": lambda run: run["mb_per_s"]},
        ),
        iperf3("bbr"),
        codec_bth(),
    ]
