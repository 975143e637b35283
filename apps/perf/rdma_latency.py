"""Latency as perftest's *_lat programs mean it: one operation at a time, both ends polling without a pause.

A message, and a WRITE whose arrival the peer sees in its memory, come back as the same: half of the round trip is
recorded. READs and atomics are round trips by themselves, and recorded whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from apps.errors import CommandError
from apps.perf.rdma import SPINS, RdmaOp, RdmaWorkload, advice
from apps.perf.report import Measurement
from stacks.rdma import Wc, WcStatus

LOST_NS = 2_000_000_000
"""How long an answer may take; only unreliable transports lose one."""


def measure_latency(workload: RdmaWorkload, measurement: Measurement, duration_ns: int) -> None:
    """Measure for `duration_ns`, one operation after the other; CommandError when one fails or is lost."""
    loop = {RdmaOp.PING: messages, RdmaOp.WRITE: writes}.get(workload.op, round_trips)
    loop(workload, measurement, duration_ns)


def messages(workload: RdmaWorkload, measurement: Measurement, duration_ns: int) -> None:
    """A SEND to and fro."""
    qp, poll, cq, recv_cq = workload.qps[0], workload.endpoint.poll, workload.cq, workload.recv_cq
    send, receives = workload.prepare_sends()[0], workload.receives[:2]
    now, latency = time.perf_counter_ns, measurement.latency
    for receive in receives:
        qp.post_recv(receive)
    completions: list[Wc] = []
    with timed(measurement) as start:
        moment = before = start
        end = start + duration_ns
        while moment < end:
            qp.post_send(send)
            poll()
            # What is left of the round before is done while this one is on its way.
            if moment > start:
                latency.record((moment - before) // 2)
                qp.post_recv(receives[completions[0].wr_id])
            cq.poll(16)
            while not (completions := recv_cq.poll(1)):
                poll(SPINS)
                if cq.is_broken or now() > moment + LOST_NS:
                    raise CommandError("a message did not come back")
            if completions[0].status is not WcStatus.SUCCESS:
                raise CommandError(f"the ping failed: {completions[0].status.name}", advice(completions[0].status))
            before, moment = moment, now()
        latency.record((moment - before) // 2)


def writes(workload: RdmaWorkload, measurement: Measurement, duration_ns: int) -> None:
    """A WRITE to and fro: each end waits for the last byte of its memory to change."""
    qp, poll, cq = workload.qps[0], workload.endpoint.poll, workload.cq
    send, ours, mirrored = workload.prepare_sends()[0], workload.view(0), workload.back_memory
    now, latency, last = time.perf_counter_ns, measurement.latency, len(workload.view(0)) - 1
    number = 0
    with timed(measurement) as start:
        moment = before = start
        end = start + duration_ns
        while moment < end:
            number = number % 255 + 1
            ours[last] = number
            qp.post_send(send)
            poll()
            check(cq.poll(16))
            while mirrored[last] != number:
                poll(SPINS)
                if now() > moment + LOST_NS:
                    raise CommandError("a write did not come back")
            before, moment = moment, now()
            latency.record((moment - before) // 2)


def round_trips(workload: RdmaWorkload, measurement: Measurement, duration_ns: int) -> None:
    """READs and atomics, from posting to completion."""
    qp, poll, cq, send = workload.qps[0], workload.endpoint.poll, workload.cq, workload.prepare_sends()[0]
    now, latency = time.perf_counter_ns, measurement.latency
    with timed(measurement) as start:
        moment = before = start
        end = start + duration_ns
        while moment < end:
            qp.post_send(send)
            poll()
            while not (completions := cq.poll(1)):
                poll(SPINS)
            check(completions)
            before, moment = moment, now()
            latency.record(moment - before)


@contextmanager
def timed(measurement: Measurement, now: Callable[[], int] = time.perf_counter_ns) -> Iterator[int]:
    """Note duration, processor time and operations of a block, which is given its start."""
    cpu, start = time.process_time_ns(), now()
    yield start
    measurement.operations, measurement.duration_ns = measurement.latency.count, now() - start
    measurement.cpu_ns = time.process_time_ns() - cpu


def check(completions: list[Wc]) -> None:
    """CommandError unless all is well."""
    for wc in completions:
        if wc.status is not WcStatus.SUCCESS:
            raise CommandError(f"an operation failed: {wc.status.name}", advice(wc.status))
