"""What Register, Acquire and Release make of a state: pure functions, one for each action.

Each takes a state and the host that asks, and returns an `Outcome`, or raises `CommandError` and nothing has changed.

Follows NVM Express Base 2.0 7.2 to 7.4 and 8.19.3 to 8.19.8. Where the document leaves a choice, or Linux nvmet and
SPDK differ from it or from each other, a comment says what was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.reservations.state import SOLITARY_TYPES, ReservationState
from stacks.nvme.target.reservations.table import CommandGroup, is_allowed
from wire.nvme.reservations import ReservationNotice, ReservationType
from wire.nvme.status import StatusCode


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command comes to.

    state: the next one. notices: (host identifier, what its controllers are told).
    preempted: other hosts that lost their registration to a preempt, whose commands an abort is about.
    """

    state: ReservationState
    notices: tuple[tuple[bytes, ReservationNotice], ...] = ()
    preempted: frozenset[bytes] = frozenset()


def register(state: ReservationState, host_id: bytes, new_key: int) -> Outcome:
    """Register: a key for a host that has none, or once more the one that it has (NVMe Base 2.0 8.19.3)."""
    _check_new_key(new_key)
    if host_id not in state.registrants:
        state = _joined(state, host_id, new_key)
    elif state.registrants[host_id] != new_key:
        raise _conflict("the host has registered another key")
    return Outcome(state.counted())


def replace_key(state: ReservationState, host_id: bytes, key: int, new_key: int, *, ignores_key: bool) -> Outcome:
    """Replace: another key for a host; with IEKEY whatever it has, which may be none (NVMe Base 2.0 8.19.3).

    That a host without a registration gets one, SPDK does and nvmet does not; the document says "without regard to its
    registration status".
    """
    _check_new_key(new_key)
    if not ignores_key:
        _check_key(state, host_id, key)
    if host_id not in state.registrants:
        return Outcome(_joined(state, host_id, new_key).counted())
    return Outcome(state.with_registrant(host_id, new_key).counted())


def unregister(state: ReservationState, host_id: bytes, key: int, *, ignores_key: bool) -> Outcome:
    """Unregister: the host's reservation is released with it (NVMe Base 2.0 8.19.4).

    With IEKEY a host that is not registered is no error (7.3; clearer in 2.2, figure 574); nvmet and SPDK take it for
    one.
    """
    if not ignores_key:
        _check_key(state, host_id, key)
    after = state.without(frozenset((host_id,)))
    is_released = state.kind is not None and after.kind is None
    # Whoever is left when all of them held it still holds it, so only "registrants only" can be news.
    notices = _to_others(after, host_id, ReservationNotice.RESERVATION_RELEASED) if is_released else ()
    return Outcome(after.counted(), () if state.kind in SOLITARY_TYPES else notices)


def acquire(state: ReservationState, host_id: bytes, key: int, kind: ReservationType) -> Outcome:
    """Acquire: a reservation where there is none; the holder may ask again for the type that it has (8.19.5)."""
    _check_allowed(state, host_id, CommandGroup.ACQUIRE)
    _check_key(state, host_id, key)
    if state.kind is None:
        return Outcome(state.reserved(kind, host_id))
    if state.kind is not kind:
        raise _conflict("the reservation is of another type")
    return Outcome(state)


def preempt(
    state: ReservationState, host_id: bytes, key: int, preempted_key: int, kind: ReservationType
) -> Outcome:
    """Preempt: unregister all with a key, and where that is the holder's, take the reservation over (8.19.7).

    nvmet lets a holder change its type with any key; here, as in the document and in SPDK, only with its own, and
    another key unregisters those who have it. SPDK keeps the old type when all registrants are preempted at once.
    """
    _check_allowed(state, host_id, CommandGroup.PREEMPT_OR_RELEASE)
    _check_key(state, host_id, key)
    others = frozenset(state.registrants) - {host_id}
    matching = frozenset(host for host, its_key in state.registrants.items() if its_key == preempted_key)
    if state.is_shared and not preempted_key:
        return _taken_over(state, host_id, others, kind)
    if state.holder is not None and state.registrants[state.holder] == preempted_key:
        return _taken_over(state, host_id, matching & others, kind)
    if state.holder is not None and not preempted_key:
        raise CommandError(StatusCode.INVALID_FIELD, "PRKEY 0 is for types that all registrants hold")
    if not matching:
        raise _conflict("nobody has registered PRKEY")
    # Among them may be the host itself; it loses its registration like the others, but needs no telling.
    after = state.without(matching).counted()
    return Outcome(after, _told_preempted(matching & others), matching & others)


def release(state: ReservationState, host_id: bytes, key: int, kind: int) -> Outcome:
    """Release: the holder, or with some types any registrant, gives the reservation up (8.19.6).

    Who does not hold it succeeds and changes nothing, whatever type it names; SPDK looks at the type first.
    """
    _check_allowed(state, host_id, CommandGroup.PREEMPT_OR_RELEASE)
    _check_key(state, host_id, key)
    if state.kind is None or not state.is_holder(host_id):
        return Outcome(state)
    if state.kind != kind:
        # nvmet says Reservation Conflict; the document (7.4) and SPDK say this.
        raise CommandError(StatusCode.INVALID_FIELD, "RTYPE is not the type of the reservation", location=41)
    after = state.released()
    if state.kind in SOLITARY_TYPES:
        return Outcome(after)
    return Outcome(after, _to_others(after, host_id, ReservationNotice.RESERVATION_RELEASED))


def clear(state: ReservationState, host_id: bytes, key: int) -> Outcome:
    """Clear: no reservation and no registration is left, and all others are told so (8.19.8)."""
    _check_allowed(state, host_id, CommandGroup.PREEMPT_OR_RELEASE)
    _check_key(state, host_id, key)
    notices = _to_others(state, host_id, ReservationNotice.RESERVATION_PREEMPTED)
    return Outcome(state.without(frozenset(state.registrants)).counted(), notices)


def with_persistence(outcome: Outcome, *, is_persistent: bool | None) -> Outcome:
    """The outcome with another PTPL; None leaves it as it is."""
    if is_persistent is None:
        return outcome
    return replace(outcome, state=replace(outcome.state, is_persistent=is_persistent))


def _taken_over(
    state: ReservationState, host_id: bytes, victims: frozenset[bytes], kind: ReservationType
) -> Outcome:
    after = state.without(victims).reserved(kind, host_id)
    # Who stays registered is told when the rules have changed for it.
    is_news = state.kind is not kind
    news = _to_others(after, host_id, ReservationNotice.RESERVATION_RELEASED) if is_news else ()
    return Outcome(after.counted(), (*_told_preempted(victims), *news), victims)


def _told_preempted(host_ids: frozenset[bytes]) -> tuple[tuple[bytes, ReservationNotice], ...]:
    return tuple((host, ReservationNotice.REGISTRATION_PREEMPTED) for host in sorted(host_ids))


def _to_others(
    state: ReservationState, host_id: bytes, notice: ReservationNotice
) -> tuple[tuple[bytes, ReservationNotice], ...]:
    return tuple((host, notice) for host in state.registrants if host != host_id)


def _joined(state: ReservationState, host_id: bytes, key: int) -> ReservationState:
    if not any(host_id):
        # Such a host is a stranger after every reset (5.27.1.22), so what it registered nobody could take back.
        raise CommandError(StatusCode.OPERATION_DENIED, "a host without an identifier cannot register")
    if len(state.registrants) >= REGISTRANTS_MAX:
        raise CommandError(StatusCode.INTERNAL_ERROR, f"{REGISTRANTS_MAX} hosts are registered already")
    return state.with_registrant(host_id, key)


def _check_allowed(state: ReservationState, host_id: bytes, group: CommandGroup) -> None:
    if state.kind is not None and not is_allowed(group, state.kind, state.relation_of(host_id)):
        raise _conflict(f"the namespace is reserved, {group.value} is not for this host")


def _check_key(state: ReservationState, host_id: bytes, key: int) -> None:
    if state.registrants.get(host_id) != key:
        raise _conflict("CRKEY is not what the host has registered")


def _check_new_key(key: int) -> None:
    # The document has no word on it. In PRKEY zero means everybody, so as a key it could not be preempted; SPDK refuses
    # it in this way, nvmet takes it.
    if not key:
        raise CommandError(StatusCode.INVALID_FIELD, "0 is no key")


def _conflict(reason: str) -> CommandError:
    return CommandError(StatusCode.RESERVATION_CONFLICT, reason)


REGISTRANTS_MAX = 1024
"""Hosts that a namespace remembers: a bound on what strangers can make us keep, and save. SPDK has 16."""
