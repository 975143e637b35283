"""A folder of namespaces with a manifest: created, resized and deleted while they are served.

    disks/manifest.toml   what there is (`manifest`)
    disks/ns-1.img        a sparse file for each

    open_directory("disks") -> NamespaceDirectory: namespaces, create, resize, delete, on_change

Left out: namespaces that are anything but files, moving them between folders, quotas.
"""

from stacks.nvme.stores.directory.directory import (
    DirectoryEvent,
    DirectoryNamespace,
    NamespaceDirectory,
    open_directory,
)
from stacks.nvme.stores.directory.manifest import ManifestEntry

__all__ = ["DirectoryEvent", "DirectoryNamespace", "ManifestEntry", "NamespaceDirectory", "open_directory"]
