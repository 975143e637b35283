"""The manifest in its folder, as it is on the medium, and what has to be made up for.

It is written beside the old one, renamed over it, and waited for with the folder. After a write that failed the medium
may have either, so the next thing to do is to write it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from stacks.nvme.stores.directory.folder import Folder
from stacks.nvme.stores.directory.manifest import (
    MANIFEST,
    NEW_MANIFEST,
    Manifest,
    ManifestEntry,
    Work,
    manifest_text,
    parse_manifest,
)
from stacks.runtime import LocalError


class Ledger:
    """The entries of the manifest in `folder`, by NSID; an empty manifest is made where there is none.

    found: the manifest as it was read. entries: as they are now, with what is being done.
    OSError for what the medium says; LocalError, with the line, for what is wrong in the manifest.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._is_unsure = False
        self.found = self._read()
        self.entries: Mapping[int, ManifestEntry] = {entry.nsid: entry for entry in self.found.entries}

    def put(self, entry: ManifestEntry, work: Work = Work.NONE) -> None:
        """Have the manifest say this of a namespace, and what is being done with it."""
        self._write({**self.entries, entry.nsid: replace(entry, work=work)})

    def drop(self, nsid: int) -> None:
        """Have the manifest say nothing of a namespace."""
        self._write({number: entry for number, entry in self.entries.items() if number != nsid})

    def clean_up(self, cut: Callable[[ManifestEntry], None]) -> None:
        """Finish or undo what was begun, by a process that crashed or by a call that failed.

        cut: makes the file of a namespace as long as the entry says, on the medium.
        """
        if self._is_unsure:
            self._write(self.entries)
        begun = [entry for entry in self.entries.values() if entry.work is not Work.NONE]
        for entry in begun:
            if entry.work is Work.SHRINKING:
                cut(entry)
            else:
                self._folder.remove(entry.file)
        if self._folder.exists(NEW_MANIFEST):
            self._folder.remove(NEW_MANIFEST)
        if begun:
            self._folder.sync()
            left = [entry for entry in self.entries.values() if entry.work in KEPT]
            self._write({entry.nsid: replace(entry, work=Work.NONE) for entry in left})

    def _read(self) -> Manifest:
        name = f"{self._folder.path}/{MANIFEST}"
        try:
            content = self._folder.read(MANIFEST)
            # Whoever wrote it may not have lived to see its name on the medium.
            self._folder.sync()
        except FileNotFoundError:
            self._write({})
            return Manifest((), "", name)
        try:
            return parse_manifest(content.decode(), name)
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise LocalError(f"{name}:{line}: this is no text in UTF-8") from error

    def _write(self, entries: Mapping[int, ManifestEntry]) -> None:
        self._is_unsure = True
        self._folder.write(NEW_MANIFEST, manifest_text(entries[nsid] for nsid in sorted(entries)).encode())
        self._folder.rename(NEW_MANIFEST, MANIFEST)
        self._folder.sync()
        self.entries, self._is_unsure = entries, False


KEPT = (Work.NONE, Work.SHRINKING)
