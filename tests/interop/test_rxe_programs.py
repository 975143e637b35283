"""The table of programs against rxe: every command line can be filled in, and a sweep varies one thing at a time."""

from __future__ import annotations

import re
import string

import pytest

from interop.peers.__main__ import PROGRAMS as PEERS
from interop.rxe_programs import PROGRAMS, Conditions, Program, sweep
from interop.soft_roce import fields


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_command_lines_have_only_fields_that_are_known(program: Program) -> None:
    for template in (program.serve, program.connect):
        names = {name for _, name, _, _ in string.Formatter().parse(template) if name}
        assert names <= set(fields(program, Conditions()))
    assert program.peer in PEERS
    assert "{host}" in program.connect


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_sweep_varies_one_condition_at_a_time(program: Program) -> None:
    usual = program.conditions
    for conditions in sweep(program):
        changed = [
            name
            for name in ("size", "path_mtu", "mtu", "is_ipv6", "loss")
            if getattr(conditions, name) != getattr(usual, name)
        ]
        assert len(changed) <= 1
        assert set(changed) <= set(program.varies)


def test_without_an_excuse_no_output_excuses_a_failure() -> None:
    assert not re.search(Program("x", "", "", "", 1).excuse, "")


def test_addresses_follow_the_family_but_for_tcp() -> None:
    [rping] = [program for program in PROGRAMS if program.name == "rping"]
    [pingpong] = [program for program in PROGRAMS if program.name == "ibv_rc_pingpong"]
    conditions = Conditions(is_ipv6=True)
    assert (fields(rping, conditions)["host"], fields(pingpong, conditions)["host"]) == ("2001:db8::1", "192.0.2.1")
