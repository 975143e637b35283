"""Configuration files, and what is wrong with them."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from apps.errors import CommandError
from apps.output import console
from stacks.nvme.configuration import ConfigurationError, Origin, TargetConfiguration, load_configuration
from stacks.runtime import LocalError


def loaded(path: Path) -> tuple[TargetConfiguration, Origin]:
    """The configuration in a file; CommandError of status 2 when something is wrong with it."""
    try:
        return load_configuration(path)
    except LocalError as error:
        hint = "--check lists all of them" if isinstance(error, ConfigurationError) and len(error.problems) > 1 else ""
        raise CommandError(str(error), hint, status=2) from error


def check_configuration(path: Path, *, as_json: bool) -> None:
    """Say everything that is wrong with a file, a line each, and leave with status 2; or that nothing is."""
    try:
        configuration, _ = load_configuration(path)
    except LocalError as error:
        tell_problems(path, error, as_json=as_json)
        raise typer.Exit(2) from error
    if as_json:
        console().print_json(data={"file": str(path), "problems": []})
        return
    ports, subsystems = len(configuration.ports), len(configuration.subsystems)
    spaces = sum(len(each.namespaces) for each in configuration.subsystems)
    console().print(
        f"{path}: nothing is wrong; ports {ports}, subsystems {subsystems}, namespaces {spaces}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def tell_problems(path: Path, error: LocalError, *, as_json: bool) -> None:
    """Print what is wrong: as JSON, or on standard error."""
    found = error.problems if isinstance(error, ConfigurationError) else []
    if as_json:
        problems = [{"line": each.line, "problem": each.text} for each in found] or [{"line": 0, "problem": str(error)}]
        console().print_json(data={"file": str(path), "problems": problems})
        return
    for line in error.lines if isinstance(error, ConfigurationError) else [str(error)]:
        # Without our name in front: editors jump to FILE:LINE.
        print(line, file=sys.stderr)  # noqa: T201
