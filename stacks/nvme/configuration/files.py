"""Whether the files and folders of a configuration are as they have to be. Nothing is opened, made or locked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from stacks.nvme.configuration.values import DirectoryConfiguration, SubsystemConfiguration, TargetConfiguration
from stacks.nvme.stores.directory.manifest import MANIFEST, ManifestEntry, parse_manifest
from stacks.nvme.stores.specification import place_in
from stacks.nvme.stores.store_files import check_store
from stacks.nvme.target.subsystem import NAMESPACES_MAX
from stacks.runtime import LocalError
from stacks.runtime.toml_places import Place
from stacks.runtime.toml_problems import Origin

Found = Iterator[tuple[Place, str]]


def check_files(configuration: TargetConfiguration, origin: Origin | None = None) -> None:
    """Raise ConfigurationError for every file and folder that is missing, or cannot be what it is to be.

    origin: where the configuration is from, for the lines.
    """
    if problems := list(_problems(configuration)):
        raise (origin or Origin()).error(problems)


def _problems(configuration: TargetConfiguration) -> Found:
    if configuration.state and (problem := _folder_problem(place_in(configuration.folder, configuration.state))):
        yield ("state",), problem
    for subsystem in configuration.subsystems:
        for namespace in subsystem.namespaces:
            try:
                check_store(
                    namespace.store,
                    block_bytes=namespace.block_bytes,
                    is_read_only=namespace.is_read_only,
                    folder=configuration.folder,
                )
            except LocalError as error:
                yield (*namespace.place, "store"), str(error)
        yield from _directories(subsystem, configuration.folder)


def _directories(subsystem: SubsystemConfiguration, folder: str) -> Found:
    taken = {namespace.nsid for namespace in subsystem.namespaces if namespace.nsid}
    for directory in subsystem.directories:
        path = place_in(folder, directory.path)
        problem = _folder_problem(path)
        try:
            entries = [] if problem else _manifest(path)
        except LocalError as error:
            problem, entries = str(error), []
        if problem:
            yield (*directory.place, "path"), problem
        yield from _entries(entries, directory, taken)


def _entries(entries: list[ManifestEntry], directory: DirectoryConfiguration, taken: set[int]) -> Found:
    for entry in entries:
        if entry.nsid in taken:
            yield (*directory.place, "path"), f"namespace {entry.nsid} of {directory.path} is there already"
        elif entry.nsid > NAMESPACES_MAX:
            yield (*directory.place, "path"), f"namespace {entry.nsid}: numbers go from 1 to {NAMESPACES_MAX}"
        taken.add(entry.nsid)


def _manifest(path: str) -> list[ManifestEntry]:
    manifest = Path(path, MANIFEST)
    try:
        text = manifest.read_text()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise LocalError(f"{manifest}: {error}") from error
    return list(parse_manifest(text, str(manifest)).entries)


def _folder_problem(path: str) -> str:
    if not Path(path).is_dir():
        return f"{path}: no such folder; make it: mkdir -p {path}"
    return "" if os.access(path, os.W_OK | os.X_OK) else f"{path}: permission denied; check the permissions"
