"""BBRv3 as in draft-ietf-ccwg-bbr (revision -06 and the repository's text of August 2026), every part of it.

    controller.py      Bbr3: the steps of 5.2 in their order; the one function that changes the state
    machine.py         states, events, and the table of where they lead
    variables.py       the draft's variables under its names, and their first values
    startup.py, drain.py, probe_bw_down.py, _cruise.py, _refill.py, _up.py, probe_rtt.py    a phase each
    rounds.py          rounds, max_bw, the short-term model          full_pipe.py    the plateau
    longterm.py        inflight_longterm and what is too high        aggregation.py  extra_acked
    outputs.py         pacing rate, quantum, window                  undo.py         what spurious loss restores

An acknowledgement goes through `Bbr3.handle_ack`; a phase answers with an `Event`, or None, and `machine.TABLE` says to
which `State` it leads. Rates are bits per second, volumes bytes, times nanoseconds, gains percentages, all integers;
C. of the draft is the connection's `Delivery`, RS. is the `Ack`, BBR. an attribute of the same name.

Left out: ECN. The draft has no response to CE, so packets are sent without ECT. ACK frequency is the transport's.

Where the draft's text and its pseudocode differ, or are silent, this is what we do:

* Gains (5.6.1): StartProbeBW_* set none in the pseudocode; every state takes both from the table, 2.25 in UP included.
* Initial pacing (5.6.2): the text takes the first round-trip sample, the pseudocode 1 ms for good. The rate is worked
  out again, once, when that sample comes, as Linux does; else an application-limited start is never really paced.
* TargetInflight against 63 (5.3.3.5.3): bytes against rounds; rounds times C.SMSS are compared with bytes, unrounded.
* Inflight(BBR.max_bw, 1.0) in IsTimeToCruise: defined with one argument, called with two; max_bw is used, as in Linux.
* Drain's volume cap: the table names inflight_longterm, BoundCwndForModel leaves it out; we do, as Linux does.
* High loss in Startup (5.3.1.3): the text sets full_bw_reached, the appendix's second case full_bw_now as well: both. A
  round that was all recovery: the loss round that ends, if the recovery began before it did; a transport that ends
  recoveries by RFC 9002 has just ended it. The rate of loss is that of the sample which ends the round.
* inflight_longterm when application-limited (5.5.10.2): the appendix's sixth case wants it updated all the same; text
  and HandleInflightTooHigh leave it, and so do we.
* Precaution (5.3.3.4.2): "inflight reaches inflight_longterm" is judged before the acknowledgement takes off what it
  acknowledges, and reached when no further packet fits. After it, inflight is always below a window that is the bound.
* SaveStateUponLoss: the text has it when a recovery begins, NoteLoss in every round with a first loss. Once a recovery:
  what a long one saved later would be what it had already lowered. The state is saved with the transition, not before.
* RS.tx_in_flight, RS.lost: the pseudocode never assigns them; see `Delivery`. What HandleLostPacket puts into RS is its
  own: it does not change the sample that follows.
* probe_rtt_min_delay begins as infinite, with the time of the start. SetPacingRate's C.pacing_gain is BBR's. A window
  length of n means this cycle or round and the n-1 before it.
"""

from stacks.congestion.bbr3.controller import Bbr3
from stacks.congestion.bbr3.machine import AckPhase, Event, State

__all__ = ["AckPhase", "Bbr3", "Event", "State"]
