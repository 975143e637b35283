"""Targets as documents: which ports, subsystems, namespaces and referrals there are, and what each of them is.

    target.toml -> read_configuration -> TargetConfiguration -> check_files -> ConfiguredTarget -> aio.serve
                   what is wrong, and                           nothing is      stores, folders
                   what does not go together                    opened yet      and the core's Target

`values` has what can be said, `reading` and `readers` the keys that say it, `conflicts` what cannot be together.
Everything that is wrong is told at once, each mistake with its line and what to do (`ConfigurationError`). A program
makes the same values without a document.

What a target is told while it serves is not written back; folders of namespaces keep their own manifest.
"""

from stacks.nvme.configuration.configured_subsystem import ConfiguredSubsystem, Source
from stacks.nvme.configuration.configured_target import ConfiguredTarget
from stacks.nvme.configuration.files import check_files
from stacks.nvme.configuration.loading import load_configuration, open_configuration
from stacks.nvme.configuration.reading import read_configuration
from stacks.nvme.configuration.served_directory import ServedDirectory
from stacks.nvme.configuration.values import (
    AnaConfiguration,
    DirectoryConfiguration,
    NamespaceConfiguration,
    PortConfiguration,
    ReferralConfiguration,
    SubsystemConfiguration,
    TargetConfiguration,
)
from stacks.runtime.toml_problems import ConfigurationError, Origin, Problem

__all__ = [
    "AnaConfiguration",
    "ConfigurationError",
    "ConfiguredSubsystem",
    "ConfiguredTarget",
    "DirectoryConfiguration",
    "NamespaceConfiguration",
    "Origin",
    "PortConfiguration",
    "Problem",
    "ReferralConfiguration",
    "ServedDirectory",
    "Source",
    "SubsystemConfiguration",
    "TargetConfiguration",
    "check_files",
    "load_configuration",
    "open_configuration",
    "read_configuration",
]
