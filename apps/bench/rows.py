"""The table: what each row is, where its value and its yardstick come from."""

from __future__ import annotations

from dataclasses import dataclass

from apps.bench import link, nbd, quic
from apps.bench.lab import lab
from apps.bench.probes import Probe, codec_bth, iperf3, perf, tcp_pingpong, udp_pingpong
from apps.bench.yardsticks import fi_pingpong, ucx, ucx_median, ucx_megabytes, ucx_thousands


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
        Row("nvme_tcp_4k_randread_qd32", "k IOPS", None, "one connection, memory store filled with random data"),
        Row("nvme_tcp_4k_ddgst", "k IOPS", "nvme_tcp_4k_randread_qd32", "the same with data digests"),
        Row("nvme_tcp_128k_read", "MB/s", "iperf3_tcp_cubic", "queue depth 8"),
        Row("nvme_tcp_qd1", "us", "tcp_pingpong", "one 4 KiB read at a time, the median of a whole round trip"),
        Row("nvme_tcp_conns4", "k IOPS", "nvme_tcp_4k_randread_qd32", "4 KiB reads over four connections, the sum"),
        Row(
            "nvme_rdma_4k_randread_qd32",
            "k IOPS",
            "nvme_tcp_4k_randread_qd32",
            "one connection, memory store filled with random data",
        ),
        Row("nvme_rdma_128k_read", "MB/s", "iperf3_tcp_cubic", "queue depth 8"),
        Row("codec_bth", "ns", "struct_bth", "a BTH decoded, against its bytes unpacked", is_over_loopback=False),
        Row("rdma_write_1MiB_vs_ucx", "MB/s", "ucx_put_bw_1MiB", "rdma_write_1MiB against ucp_put_bw over TCP"),
        Row("rdma_write_4KiB", "MB/s", "ucx_put_bw_4KiB", "queue depth 64, against ucp_put_bw over TCP"),
        Row("rdma_write_64B_qd64", "k/s", "ucx_put_bw_64B", "against the message rate of ucp_put_bw over TCP"),
        Row("rdma_lat_64B_vs_ucx", "us", "ucx_put_lat_64B", "rdma_lat_64B against ucp_put_lat over TCP, medians"),
        Row("rdma_read_1MiB", "MB/s", "rdma_write_1MiB", "one QP, queue depth 4"),
        Row("rdma_multi_qp", "MB/s", "rdma_write_1MiB", "1 MiB WRITEs over 16 QPs that take turns, the sum"),
        Row("rdma_bidi", "MB/s", "rdma_write_1MiB", "1 MiB WRITEs both ways, the sum"),
        Row("nbd_4k_randread_qd32", "k IOPS", "nbdkit_memory", "fio on nvme nbd over TCP, memory store behind it"),
        Row("nbd_4k_randread_qd32_vs_qemu", "k IOPS", "qemu_storage_daemon", "the same, against a file in memory"),
        Row("lab_events", "k events/s", None, "10 BBRv3 flows on a dumbbell, one core", is_over_loopback=False),
        Row("lab_events_1000_flows", "k events/s", "lab_events", "1 000 CUBIC flows", is_over_loopback=False),
        Row("lab_sweep_2_cores", "runs/s", "lab_sweep_1_core", "64 runs on two processes", is_over_loopback=False),
        *quic_rows(),
        Row("nbdkit_memory", "k IOPS", None, "yardstick: fio's nbd engine on nbdkit memory"),
        Row("qemu_storage_daemon", "k IOPS", None, "yardstick: fio's nbd engine on qemu-storage-daemon"),
        Row("link_udp_rate", "Mbit/s", None, "link udp, 1500-byte packets; p99 lateness under 1 ms, nothing lost"),
        Row("link_tun_rate", "Mbit/s", None, "link tun, one kernel TCP stream; p99 lateness under 1 ms"),
        Row("iperf3_tcp_cubic", "MB/s", None, "yardstick: one TCP stream"),
        Row("iperf3_tcp_bbr", "MB/s", None, "for comparison: one TCP stream with bbr"),
        Row("udp_pingpong_busy", "us", None, "yardstick: 64 bytes over UDP in plain Python, busy polling"),
        Row("tcp_pingpong", "us", None, "yardstick: the bytes of a 4 KiB read over TCP in plain Python, blocking"),
        Row("udp_pingpong_blocking", "us", None, "for comparison: the same, blocking"),
        Row("ucx_put_bw_1MiB", "MB/s", None, "yardstick: UCX 1 MiB puts over TCP, ucp_put_bw"),
        Row("ucx_put_bw_4KiB", "MB/s", None, "yardstick: the same with 4 KiB"),
        Row("ucx_put_bw_64B", "k/s", None, "yardstick: the same with 64 bytes"),
        Row("ucx_put_lat_64B", "us", None, "yardstick: UCX over TCP, ucp_put_lat, half a round trip's median"),
        Row("ucx_tag_bw_1MiB", "MB/s", None, "for comparison: UCX 1 MiB messages over TCP, tag_bw"),
        Row("aioquic_1452_self", "MB/s", None, "yardstick: aioquic's client from aioquic's server"),
        Row("aioquic_1452_self_cpu", "us", None, "yardstick: the same run, processor time per datagram"),
        Row("ngtcp2_1452_self", "MB/s", None, "yardstick: ngtcp2's client from ngtcp2's server"),
        Row("lab_sweep_1_core", "runs/s", None, "yardstick: the same 64 runs on one", is_over_loopback=False),
        Row("fi_pingpong_64B", "us", None, "for comparison: libfabric over TCP, half a round trip's mean"),
    ]


def quic_rows() -> list[Row]:
    """Those of QUIC."""
    return [
        Row("quic_1452_self", "MB/s", "aioquic_1452_self", "HTTP/3, our client from our server, 1452-byte datagrams"),
        Row("quic_1452_self_cpu", "us", "aioquic_1452_self_cpu", "processor time per datagram, the costlier side"),
        Row("quic_1452_tx", "MB/s", "qh3_1452_tx", "our server, ngtcp2's client"),
        Row("quic_1452_tx_cpu", "us", None, "the same run, processor time per datagram of our server"),
        Row("quic_1452_rx", "MB/s", "aioquic_1452_rx", "ngtcp2's server, our client"),
        Row("quic_1452_rx_cpu", "us", None, "the same run, processor time per datagram of our client"),
        Row("quic_1452_vs_ngtcp2", "MB/s", "ngtcp2_1452_self", "quic_1452_self against ngtcp2 with itself"),
        Row("quic_8900_self", "MB/s", "aioquic_8900_self", "as quic_1452_self, with jumbo datagrams"),
        Row("quic_8900_self_cpu", "us", None, "the same run, processor time per datagram, the costlier side"),
        Row("quic_handshakes", "/s", "aioquic_handshakes", "full handshakes, one after the other"),
        Row("quic_idle_memory", "KiB", "aioquic_idle_memory", "the server's memory for each of 1 000 idle connections"),
    ]


def probes() -> list[Probe]:
    """All probes, in the order of a round: a yardstick next to what it measures."""
    loads = [*bandwidths(), *latencies(), *nvme(), *nbd_exports(), *quics(), *laboratory(), *links()]
    return [*loads, iperf3("bbr"), codec_bth()]


def bandwidths() -> list[Probe]:
    """How much RDMA carries, in bytes and in messages."""
    return [
        iperf3("cubic"),
        perf(
            "rdma_write_1MiB",
            "rdma --op write --block-size 1MiB --queue-depth 4 --time 2s",
            {
                "rdma_write_1MiB": lambda run: run["mb_per_s"],
                "rdma_write_1MiB_vs_ucx": lambda run: run["mb_per_s"],
                "rdma_write_cpu": lambda run: max(run["cpu_ns"], run["peer_cpu_ns"]) / run["operations"] / 256 / 1e3,
            },
        ),
        ucx("ucx_put_bw_1MiB", "ucp_put_bw", 1 << 20, iterations=500, reading=ucx_megabytes),
        ucx("ucx_tag_bw_1MiB", "tag_bw", 1 << 20, iterations=1000, reading=ucx_megabytes),
        throughput("rdma_read_1MiB", "--op read --block-size 1MiB --queue-depth 4"),
        throughput("rdma_multi_qp", "--op write --block-size 1MiB --qps 16 --queue-depth 16"),
        throughput("rdma_bidi", "--op write --block-size 1MiB --queue-depth 4 --bidirectional"),
        throughput("rdma_write_4KiB", "--op write --block-size 4k --queue-depth 64"),
        ucx("ucx_put_bw_4KiB", "ucp_put_bw", 4096, iterations=100_000, reading=ucx_megabytes),
        rate("rdma_write_64B_qd64", "--op write --block-size 64 --queue-depth 64"),
        ucx("ucx_put_bw_64B", "ucp_put_bw", 64, iterations=400_000, reading=ucx_thousands),
        throughput("rdma_write_odd", "--op write --block-size 1048593 --offset 1 --sges 2 --queue-depth 4"),
        rate("rdma_send_64B_qd64", "--op send --block-size 64 --queue-depth 64"),
    ]


def latencies() -> list[Probe]:
    """Half a round trip of 64 bytes, busy polling and blocking."""
    return [
        udp_pingpong("busy"),
        perf(
            "rdma_lat_64B",
            "rdma --op ping --block-size 64 --time 2s",
            {
                "rdma_lat_64B": lambda run: run["latency_p50_ns"] / 1e3,
                "rdma_lat_64B_vs_ucx": lambda run: run["latency_p50_ns"] / 1e3,
            },
        ),
        ucx("ucx_put_lat_64B", "ucp_put_lat", 64, iterations=10_000, reading=ucx_median),
        fi_pingpong("fi_pingpong_64B"),
        udp_pingpong("blocking"),
    ]


def nvme() -> list[Probe]:
    """Reads of a namespace in memory, over TCP and RDMA."""
    return [
        small_reads("nvme_tcp_4k_randread_qd32", "--transport tcp --queue-depth 32"),
        small_reads("nvme_tcp_4k_ddgst", "--transport tcp --digests data --queue-depth 32"),
        small_reads("nvme_rdma_4k_randread_qd32", "--queue-depth 32"),
        small_reads("nvme_tcp_conns4", "--transport tcp --queues 4 --queue-depth 128"),
        tcp_pingpong(),
        perf(
            "nvme_tcp_qd1",
            "nvme --transport tcp --rw randread --block-size 4k --queue-depth 1 --namespace mem:64MiB --fill --time 2s",
            {"nvme_tcp_qd1": lambda run: run["latency_p50_ns"] / 1e3},
        ),
        perf(
            "nvme_tcp_128k_read",
            "nvme --transport tcp --rw read --block-size 128k --queue-depth 8 --namespace mem:64MiB --fill --time 2s",
            {"nvme_tcp_128k_read": lambda run: run["mb_per_s"]},
        ),
        perf(
            "nvme_rdma_128k_read",
            "nvme --rw read --block-size 128k --queue-depth 8 --namespace mem:64MiB --fill --time 2s",
            {"nvme_rdma_128k_read": lambda run: run["mb_per_s"]},
        ),
    ]


def nbd_exports() -> list[Probe]:
    """Reads of exports over NBD, ours and those of others, with fio."""
    return [
        nbd.ours("nbd_4k_randread_qd32", "nbd_4k_randread_qd32_vs_qemu"),
        nbd.nbdkit("nbdkit_memory"),
        nbd.qemu_storage_daemon("qemu_storage_daemon"),
    ]


def quics() -> list[Probe]:
    """Files, handshakes and idle connections over QUIC."""
    return [*quic.transfers(), *quic.connections()]


def laboratory() -> list[Probe]:
    """How fast experiments run in virtual time."""
    return [
        lab("lab_events", load="bbr3-10"),
        lab("lab_events_1000_flows", load="cubic-1000"),
        lab("lab_sweep_1_core", load="sweep-1"),
        lab("lab_sweep_2_cores", load="sweep-2"),
    ]


def links() -> list[Probe]:
    """How much an emulated link carries on time."""
    return [link.udp_rate(), link.tun_rate()]


def small_reads(name: str, arguments: str) -> Probe:
    """Random reads of 4 KiB of a memory store, filled with random data, in thousands a second."""
    words = f"nvme --rw randread --block-size 4k --namespace mem:64MiB --fill --time 2s {arguments}"
    return perf(name, words, {name: lambda run: run["iops"] / 1e3})


def throughput(name: str, arguments: str) -> Probe:
    """A run of `perf rdma` of two seconds, of which the bandwidth is taken."""
    return perf(name, f"rdma {arguments} --time 2s", {name: lambda run: run["mb_per_s"]})


def rate(name: str, arguments: str) -> Probe:
    """The same, of which the operations are taken, in thousands a second."""
    return perf(name, f"rdma {arguments} --time 2s", {name: lambda run: run["iops"] / 1e3})
