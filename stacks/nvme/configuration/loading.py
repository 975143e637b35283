"""Configurations from files."""

from __future__ import annotations

from pathlib import Path

from stacks.nvme.configuration.configured_target import ConfiguredTarget
from stacks.nvme.configuration.files import check_files
from stacks.nvme.configuration.reading import read_configuration
from stacks.nvme.configuration.values import TargetConfiguration
from stacks.nvme.stores.file_layer import cannot
from stacks.runtime import LocalError
from stacks.runtime.toml_problems import Origin


def load_configuration(path: str | Path) -> tuple[TargetConfiguration, Origin]:
    """The configuration in a file, checked as far as it can be without opening anything, and where its parts stand.

    Paths in it begin in the folder of the file. ConfigurationError with everything that is wrong; LocalError when the
    file cannot be read, or is no text.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise cannot(str(path), error) from error
    except UnicodeDecodeError as error:
        raise LocalError(f"{path} is no text, and a configuration is a TOML file") from error
    configuration, origin = read_configuration(text, str(path), folder=Path(path).parent)
    check_files(configuration, origin)
    return configuration, origin


def open_configuration(path: str | Path) -> ConfiguredTarget:
    """The target that a file describes, open, for `serve` to serve and the caller to close; errors likewise."""
    configuration, origin = load_configuration(path)
    return ConfiguredTarget(configuration, origin=origin)
