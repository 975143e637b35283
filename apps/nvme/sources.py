"""What a target serves, from the words on its command line, and what it says when a store fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from apps.errors import CommandError
from apps.output import complain
from apps.sizes import parse_some
from stacks.nvme.configuration import (
    ConfiguredTarget,
    NamespaceConfiguration,
    PortConfiguration,
    SubsystemConfiguration,
    TargetConfiguration,
)
from stacks.nvme.serving.store_reports import StoreReports
from stacks.nvme.stores.specification import is_image
from stacks.nvme.stores.store_files import check_store
from stacks.nvme.target.namespace import Namespace
from stacks.nvme.url import NvmeUrl


def parse_source(text: str) -> str:
    """What `open_store` takes; typer.BadParameter for a size that is none."""
    if text.startswith("mem:"):
        parse_some(text.removeprefix("mem:"))
    return text


def configuration_of(
    sources: Sequence[str], listen: Sequence[NvmeUrl], *, nqn: str, block_bytes: int
) -> TargetConfiguration:
    """One subsystem with these stores as namespaces, from 1 on, at each of some places.

    CommandError with advice, or LocalError, for what cannot be served.
    """
    _check_each_once(sources)
    for text in sources:
        _check(text, block_bytes)
    return TargetConfiguration(
        ports=tuple(PortConfiguration(url=replace(url, nqn="")) for url in listen),
        subsystems=(
            SubsystemConfiguration(
                nqn=nqn,
                namespaces=tuple(NamespaceConfiguration(store=text, block_bytes=block_bytes) for text in sources),
            ),
        ),
    )


def failure_reporter(configured: ConfiguredTarget) -> StoreReports:
    """What says on standard error, once for each namespace and reason, that a store failed."""

    def source_of(namespace: Namespace) -> str:
        for subsystem in configured.subsystems.values():
            source = subsystem.sources.get(namespace.nsid)
            if source is not None and subsystem.subsystem.namespaces.get(namespace.nsid) is namespace:
                return source.text
        return ""

    return StoreReports(configured.target, complain, source_of=source_of)


def _check(text: str, block_bytes: int) -> None:
    if text.startswith("mem:"):
        size = parse_some(text.removeprefix("mem:"))
        if size % block_bytes:
            problem = f"{text}: {size} bytes are no whole number of blocks of {block_bytes}"
            raise CommandError(problem, "choose another size or --block-size", status=2)
    check_store(text, block_bytes=block_bytes)


def _check_each_once(sources: Sequence[str]) -> None:
    # The same file twice, under whatever name.
    seen: dict[str, str] = {}
    for text in sources:
        if not is_image(text):
            continue
        real = str(Path(text.removeprefix("file:")).resolve())
        if real in seen:
            also = "" if seen[real] == text else f" (as {seen[real]}, too)"
            raise CommandError(f"{text} is given twice{also}", "an image can be one namespace only", status=2)
        seen[real] = text
