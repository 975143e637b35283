"""DCQCN's reaction point: the rate of a RoCE flow from the CNPs that its receiver sends (SIGCOMM 2015, section 3).

    CNP                          target = rate; rate *= 1 - alpha/2; alpha = (1-g) alpha + g; both stages from 0
    alpha_period without a CNP   alpha *= 1-g
    increase_period, or          its stage += 1, then
    byte_counter bytes sent        fast recovery      while neither stage is past F
                                   additive increase  target += AI
                                   hyper increase     target += HAI, once both stages are past F
                                 rate = (rate + target) / 2

A flow starts at line rate; until its first CNP, and once it is back at line rate with alpha down to nothing, no timer
runs. Everything is an integer, alpha in units of 2^-30, so that no result depends on how a machine rounds.

The paper is silent on whether a flow that is back at line rate forgets its alpha: here it decays on, as in ns-3.
"""

from __future__ import annotations

from dataclasses import dataclass

from stacks.congestion.controller import Controller, Flow
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True, kw_only=True)
class DcqcnParameters:
    """The constants of DCQCN; the defaults are the paper's.

    It names no HAI and no minimum: ten times AI as in ns-3, and 1 Mbit/s as NVIDIA documents.

    g_1024: the gain g in units of 1/1024. initial_alpha_1024: alpha at the first CNP, in the same units.
    alpha_period_ns: without a CNP for so long, alpha falls. increase_period_ns: of the timer that raises the rate.
    byte_counter_bytes: bytes that raise it as well, 0 for none. decrease_period_ns: between two cuts, 0 for one a CNP;
    a CNP in between takes effect when it is over. fast_recovery_steps: F. additive_bps, hyper_bps: AI and HAI.
    minimum_bps: the rate never falls below.

    LocalError for a value that makes no sense.
    """

    g_1024: int = 4
    initial_alpha_1024: int = 1024
    alpha_period_ns: int = 55_000
    increase_period_ns: int = 55_000
    byte_counter_bytes: int = 10_000_000
    decrease_period_ns: int = 0
    fast_recovery_steps: int = 5
    additive_bps: int = 40_000_000
    hyper_bps: int = 400_000_000
    minimum_bps: int = 1_000_000

    def __post_init__(self) -> None:
        if not 0 < self.g_1024 <= 1024 or not 0 <= self.initial_alpha_1024 <= 1024:
            raise LocalError("DCQCN's g is above 0 and at most 1024/1024, its initial alpha from 0 to 1024/1024")
        for name in ("alpha_period_ns", "increase_period_ns", "fast_recovery_steps", "additive_bps", "minimum_bps"):
            if getattr(self, name) < 1:
                raise LocalError(f"DCQCN's {name} must be above 0, not {getattr(self, name)}")
        for name in ("byte_counter_bytes", "decrease_period_ns", "hyper_bps"):
            if getattr(self, name) < 0:
                raise LocalError(f"DCQCN's {name} must not be negative: {getattr(self, name)}")


class Dcqcn(Controller):
    """The reaction point of one flow, whose packets carry ECT(0).

    flow: its line rate bounds the rate. parameters: see DcqcnParameters.
    target_bps: the rate before the last cut, towards which `rate_bps` recovers. alpha: in units of 1/ALPHA_ONE.
    timer_stage, byte_stage: expiries of timer and byte counter since the last cut. cnp_interval_ns: the paper's 50 us.
    """

    cnp_interval_ns = 50_000

    def __init__(self, flow: Flow, parameters: DcqcnParameters | None = None) -> None:
        self.parameters = parameters or DcqcnParameters()
        self.ecn = 2
        self.line_rate_bps = flow.line_rate_bps
        self.target_bps = flow.line_rate_bps
        self.rate_bps: int = flow.line_rate_bps
        self.alpha = self.parameters.initial_alpha_1024 * ALPHA_ONE // 1024
        self.timer_stage = self.byte_stage = 0
        self._counted_bytes = 0
        self._is_cut_due = False
        self._cut_due_ns = self._alpha_due_ns = self._increase_due_ns = NEVER

    @property
    def is_limiting(self) -> bool:
        """Whether timers run: since a CNP, until rate and alpha are back where they would be without one."""
        return self._increase_due_ns < NEVER

    def handle_notification(self, now: int) -> None:
        """A CNP: cut the rate, at once or when the decrease period is over."""
        self.handle_timeout(now)
        if now < self._cut_due_ns < NEVER:
            self._is_cut_due = True
        else:
            self._cut(now)

    def handle_sent(self, length_bytes: int, now: int) -> None:
        """Count bytes; each `byte_counter_bytes` of them raise the rate."""
        self.handle_timeout(now)
        limit = self.parameters.byte_counter_bytes
        if not limit or not self.is_limiting:
            return
        self._counted_bytes += length_bytes
        while self._counted_bytes >= limit:
            self._counted_bytes -= limit
            self.byte_stage += 1
            self._increase()

    def handle_timeout(self, now: int) -> None:
        """Do what is due, each at its own time and in order."""
        while (due_ns := min(self._cut_due_ns, self._alpha_due_ns, self._increase_due_ns)) <= now:
            if due_ns == self._cut_due_ns:
                self._end_decrease_period(due_ns)
            elif due_ns == self._alpha_due_ns:
                self._decay(min(now, self._cut_due_ns - 1, self._increase_due_ns))
            else:
                self._increase_due_ns = due_ns + self.parameters.increase_period_ns
                self.timer_stage += 1
                self._increase()
            if not self.alpha and self.rate_bps == self.line_rate_bps and not self._is_cut_due:
                self._cut_due_ns = self._alpha_due_ns = self._increase_due_ns = NEVER

    def poll_deadline(self) -> int | None:
        """When the rate may change next; alpha decays unseen in between, however late it is looked at."""
        due_ns = self._increase_due_ns
        if self._is_cut_due and self._cut_due_ns < due_ns:
            due_ns = self._cut_due_ns
        return due_ns if due_ns < NEVER else None

    def _decay(self, until_ns: int) -> None:
        """Every decay of alpha up to and including a time, before which no other timer is due."""
        alpha, due_ns = self.alpha, self._alpha_due_ns
        period_ns, kept = self.parameters.alpha_period_ns, 1024 - self.parameters.g_1024
        while due_ns <= until_ns:
            alpha = alpha * kept // 1024
            due_ns += period_ns
        self.alpha, self._alpha_due_ns = alpha, due_ns

    def _end_decrease_period(self, now: int) -> None:
        self._cut_due_ns = NEVER
        if self._is_cut_due:
            self._cut(now)

    def _cut(self, now: int) -> None:
        parameters = self.parameters
        self._is_cut_due = False
        self.target_bps = self.rate_bps
        cut_bps = self.rate_bps * self.alpha // (2 * ALPHA_ONE)
        self.rate_bps = max(min(parameters.minimum_bps, self.line_rate_bps), self.rate_bps - cut_bps)
        self.alpha += (ALPHA_ONE - self.alpha) * parameters.g_1024 // 1024
        self.timer_stage = self.byte_stage = self._counted_bytes = 0
        self._alpha_due_ns = now + parameters.alpha_period_ns
        self._increase_due_ns = now + parameters.increase_period_ns
        if parameters.decrease_period_ns:
            self._cut_due_ns = now + parameters.decrease_period_ns

    def _increase(self) -> None:
        parameters, steps = self.parameters, self.parameters.fast_recovery_steps
        # Without a byte counter the timer stands for both, a step behind: one additive step, then hyper increase.
        other_stage = self.byte_stage if parameters.byte_counter_bytes else self.timer_stage - 1
        if min(self.timer_stage, other_stage) > steps:
            self.target_bps += parameters.hyper_bps
        elif max(self.timer_stage, other_stage) > steps:
            self.target_bps += parameters.additive_bps
        self.target_bps = min(self.target_bps, self.line_rate_bps)
        # Rounded up, or halving would never arrive.
        self.rate_bps = (self.rate_bps + self.target_bps + 1) // 2


ALPHA_ONE = 1 << 30
NEVER = 1 << 63
"""Later than any time in nanoseconds."""
