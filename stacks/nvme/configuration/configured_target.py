"""A configuration, opened: the core's target with its subsystems, and the stores and folders behind them.

    with contextlib.closing(ConfiguredTarget(configuration)) as configured:
        async with serve(configured):
            configured.subsystem().add_namespace(NamespaceConfiguration(store="mem:1GiB"))

What hosts are told of changes, the core's `Subsystem` and `Target` see to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from stacks.nvme.configuration.configured_subsystem import ConfiguredSubsystem
from stacks.nvme.configuration.conflicts import conflicts
from stacks.nvme.configuration.served_directory import ServedDirectory
from stacks.nvme.configuration.values import (
    PortConfiguration,
    SubsystemConfiguration,
    TargetConfiguration,
    numbered,
)
from stacks.nvme.stores.specification import place_in
from stacks.nvme.target import Target
from stacks.runtime import LocalError
from stacks.runtime.toml_problems import Origin


class ConfiguredTarget:
    """A target that a configuration describes; `close` it when nothing serves it any more.

    configuration: with conflicts it is a ConfigurationError; origin: where it is from, for the lines of messages.
    target: the core; subsystems: what belongs to each by its NQN; ports: where to listen, with numbers.
    LocalError, with the line where there are lines, for what cannot be opened.
    """

    def __init__(self, configuration: TargetConfiguration, *, origin: Origin | None = None) -> None:
        self.ports: Sequence[PortConfiguration] = numbered(configuration.ports)
        self.subsystems: dict[str, ConfiguredSubsystem] = {}
        self.origin = origin or Origin()
        self._folder = configuration.folder
        self._state = place_in(configuration.folder, configuration.state) if configuration.state else ""
        if problems := list(conflicts(configuration)):
            raise self.origin.error(problems)
        self.target = Target(discovery_nqn=configuration.discovery_nqn)
        try:
            for each in configuration.subsystems:
                self.add_subsystem(each, origin=self.origin)
            for referral in configuration.referrals:
                with self.origin.at(referral.place):
                    self.target.discovery.add_referral(referral.address, referral.nqn)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every store and folder; OSError, when that is done, if one could not be flushed."""
        with contextlib.ExitStack() as stack:
            for subsystem in self.subsystems.values():
                stack.callback(subsystem.close)
            self.subsystems = {}

    def add_subsystem(
        self, configuration: SubsystemConfiguration, *, origin: Origin | None = None
    ) -> ConfiguredSubsystem:
        """Serve one more subsystem, with what belongs to it; LocalError for what cannot be."""
        if self.target.find_subsystem(configuration.nqn) is not None:
            raise LocalError(f"subsystem {configuration.nqn} is there already")
        made = ConfiguredSubsystem(configuration, folder=self._folder, state=self._state, origin=origin)
        self.target.add_subsystem(made.subsystem)
        self.subsystems[configuration.nqn] = made
        return made

    def remove_subsystem(self, nqn: str) -> ConfiguredSubsystem:
        """Serve a subsystem no more, and disconnect its hosts; what it was, for the caller to close once nothing uses
        it. LocalError when there is none.
        """
        gone = self.subsystem(nqn)
        self.target.remove_subsystem(nqn)
        del self.subsystems[nqn]
        return gone

    def subsystem(self, nqn: str = "") -> ConfiguredSubsystem:
        """The subsystem of that name, or (empty) the only one; LocalError when there is none, or more than one."""
        if nqn in self.subsystems:
            return self.subsystems[nqn]
        there = ", ".join(self.subsystems) or "none"
        if nqn:
            raise LocalError(f"there is no subsystem {nqn}; there are: {there}")
        if len(self.subsystems) != 1:
            raise LocalError(f"say which subsystem; there are: {there}")
        return next(iter(self.subsystems.values()))

    def directory(self, path: str = "") -> tuple[ConfiguredSubsystem, ServedDirectory]:
        """The folder of that path, or (empty) the only one, with its subsystem; LocalError likewise."""
        pairs = [(subsystem, each) for subsystem in self.subsystems.values() for each in subsystem.directories]
        found = [pair for pair in pairs if not path or pair[1].path in (path, place_in(self._folder, path))]
        if len(found) == 1:
            return found[0]
        if not pairs:
            raise LocalError("this target serves no folder; one is a [[subsystem.directory]] of its configuration")
        there = ", ".join(each.path for _, each in pairs)
        what = f"there is no folder {path}" if path else "say which folder"
        raise LocalError(f"{what}; there are: {there}")
