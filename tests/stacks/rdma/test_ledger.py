"""The ledger of what a queue pair has in flight: every byte is delivered, lost, given up or still out."""

from __future__ import annotations

import random

import pytest

from stacks.congestion import Delivery
from stacks.rdma.congestion.ledger import SentLedger

PACKET = 1000


def ledger() -> tuple[SentLedger, Delivery]:
    delivery = Delivery()
    return SentLedger(delivery), delivery


def test_a_send_of_several_packets_is_acknowledged_in_parts() -> None:
    book, delivery = ledger()
    book.sent(100, 104, 4 * PACKET, 10)
    assert delivery.inflight_bytes == 4 * PACKET
    newest = book.acked(101, 50)
    assert newest is not None
    assert (newest.sent_ns, delivery.inflight_bytes, delivery.delivered_bytes) == (10, 3 * PACKET, PACKET)
    assert delivery.sample(rtt_ns=40).delivery_rate_bps == PACKET * 8 * 10**9 // 40
    book.acked(104, 90)
    # Both parts have a sample: the second is newer, though it left at the same time.
    assert delivery.sample(rtt_ns=80).delivered_bytes == 4 * PACKET
    assert delivery.inflight_bytes == 0


def test_an_acknowledgement_of_nothing_that_is_out_is_no_sample() -> None:
    book, delivery = ledger()
    book.sent(0, 2, 2 * PACKET, 0)
    book.acked(2, 5)
    delivery.sample()
    assert book.acked(2, 6) is None
    assert delivery.sample().prior_delivered_ns == -1


def test_going_back_after_a_loss_loses_what_is_out() -> None:
    book, delivery = ledger()
    book.sent(0, 4, 4 * PACKET, 0)
    book.acked(1, 5)
    lost = book.rewound(is_loss=True)
    assert [(burst.first_psn, burst.end_psn, burst.size_bytes) for burst in lost] == [(1, 4, 3 * PACKET)]
    assert (delivery.inflight_bytes, delivery.lost_bytes) == (0, 3 * PACKET)


def test_going_back_for_a_receiver_that_was_not_ready_loses_nothing() -> None:
    book, delivery = ledger()
    book.sent(0, 4, 4 * PACKET, 0)
    assert book.rewound(is_loss=False) == []
    assert (delivery.inflight_bytes, delivery.lost_bytes) == (0, 0)


def test_what_is_sent_again_is_no_measure_of_time() -> None:
    book, _ = ledger()
    book.sent(0, 2, 2 * PACKET, 0)
    book.rewound(is_loss=True)
    book.sent(0, 1, PACKET, 10)
    book.sent(1, 3, 2 * PACKET, 20)
    book.sent(3, 4, PACKET, 30)
    repeats = []
    for una in (1, 3, 4):
        newest = book.acked(una, 40)
        assert newest is not None
        repeats.append(newest.is_repeat)
    assert repeats == [True, True, False]


def test_an_acknowledgement_that_was_only_late_counts_as_delivered() -> None:
    book, delivery = ledger()
    book.sent(0, 4, 4 * PACKET, 0)
    book.rewound(is_loss=True)
    assert book.acked(3, 100) is None
    assert (delivery.delivered_bytes, delivery.lost_bytes, delivery.inflight_bytes) == (3 * PACKET, 4 * PACKET, 0)
    book.sent(3, 4, PACKET, 110)
    book.acked(4, 200)
    assert (delivery.delivered_bytes, delivery.inflight_bytes) == (4 * PACKET, 0)


def test_selective_repeat_counts_what_arrived_ahead_and_loses_what_it_repeats() -> None:
    book, delivery = ledger()
    book.sent(0, 6, 6 * PACKET, 0)
    for psn in (2, 4):
        assert book.arrived(psn, 10) is not None
    assert book.arrived(2, 11) is None
    assert delivery.delivered_bytes == 2 * PACKET
    lost = book.sent(1, 2, PACKET, 20) + book.sent(3, 4, PACKET, 20)
    assert [burst.first_psn for burst in lost] == [1, 3]
    assert (delivery.inflight_bytes, delivery.lost_bytes) == (4 * PACKET, 2 * PACKET)
    book.acked(6, 30)
    assert (delivery.inflight_bytes, delivery.delivered_bytes) == (0, 6 * PACKET)


@pytest.mark.parametrize("seed", range(20))
def test_no_byte_is_counted_twice_or_forgotten(seed: int) -> None:
    """Random sends, acknowledgements, early arrivals, repairs and rewinds; all that was sent is accounted for."""
    rng = random.Random(seed)
    book, delivery = ledger()
    una = next_psn = sent_psn = 0
    sent = given_up = 0
    for now in range(400):
        draw = rng.random()
        if draw < 0.5:
            end = next_psn + 1 + int(rng.random() * 5)
            book.sent(next_psn, end, (end - next_psn) * PACKET, now)
            sent += (end - next_psn) * PACKET
            next_psn = end
            sent_psn = max(sent_psn, end)
        elif draw < 0.8:
            una += int(rng.random() * (sent_psn - una + 1))
            next_psn = max(next_psn, una)
            book.acked(una, now)
        elif draw < 0.9 and next_psn - una > 2:
            psn = una + 1 + int(rng.random() * (next_psn - una - 1))
            book.arrived(psn, now)
            if rng.random() < 0.5:
                book.sent(psn - 1, psn, PACKET, now)
                sent += PACKET
        elif draw > 0.95:
            before = delivery.inflight_bytes
            is_loss = rng.random() < 0.5
            book.rewound(is_loss=is_loss)
            given_up += 0 if is_loss else before
            next_psn = una
        counted = delivery.inflight_bytes + delivery.delivered_bytes + delivery.lost_bytes + given_up
        # What arrived late counts as lost and as delivered.
        assert counted == sent + book.late_bytes
    book.acked(sent_psn, 1000)
    assert delivery.inflight_bytes == 0
