"""Where the reservations of a configured namespace are kept through a loss of power.

With a state folder, in `UUID.reservations` there; without, in `IMAGE.reservations` beside a namespace's image, as the
command line has it. A namespace of a folder has them in that folder, under its UUID, since its file's name may be given
to another one later. What is in no file, such as `mem:`, does not outlive the process, and nor do its reservations.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from stacks.nvme.configuration.values import NamespaceConfiguration
from stacks.nvme.stores.reservations import FileReservations, open_reservations, reservations_of
from stacks.nvme.stores.specification import is_image
from stacks.nvme.stores.store_files import store_files


def kept_by_identifier(folder: str, identifier: uuid.UUID) -> FileReservations:
    """The reservations of a namespace in a folder that keeps those of many."""
    return open_reservations(Path(folder, f"{identifier}.reservations"))


def kept_reservations(
    namespace: NamespaceConfiguration, identifier: uuid.UUID, *, folder: str, state: str
) -> FileReservations | None:
    """The reservations of a namespace that is a store by itself; None where none can be kept.

    identifier: its UUID; folder: where its paths begin; state: the state folder, or empty.
    """
    files = store_files(namespace.store, folder=folder)
    if not files:
        return None
    if state:
        return kept_by_identifier(state, identifier)
    return reservations_of(f"file:{files[0].path}") if is_image(namespace.store) else None
