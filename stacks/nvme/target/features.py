"""Set Features and Get Features: what holds for every feature; `feature_table` has the features.

Nothing is saveable, so the saved value is the default.

Follows NVM Express Base 2.0 4.4, 5.15 and 5.27.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.target.ana_effects import check_feature
from stacks.nvme.target.command import Command
from stacks.nvme.target.controller_kind import IO
from stacks.nvme.target.effects import CONTROLLER, NAMESPACE
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.feature import Feature
from stacks.nvme.target.feature_table import FEATURES
from stacks.nvme.target.subsystem import NAMESPACES_MAX
from wire.nvme.features_codec import FeatureCapabilities
from wire.nvme.opcodes import NSID_BROADCAST, FeatureSelect
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def set_features(queue: Queue, command: Command) -> None:
    """Change a feature and complete."""
    feature = _find(queue, command, is_set=True)
    if command.words[10] >> 31:
        raise CommandError(StatusCode.FEATURE_NOT_SAVEABLE, "no feature is saveable", location=43)
    feature.set(queue, command)


def get_features(queue: Queue, command: Command) -> None:
    """Answer with a feature's current or default value, or with what can be done to it."""
    feature = _find(queue, command, is_set=False)
    select = command.words[10] >> 8 & 7
    if select > FeatureSelect.SUPPORTED:
        raise CommandError(StatusCode.INVALID_FIELD, f"SEL {select} is reserved", location=41)
    if select == FeatureSelect.SUPPORTED:
        value: int | bytes = _capabilities(feature)
    else:
        value = (feature.get if select == FeatureSelect.CURRENT else feature.default)(queue, command)
    if isinstance(value, bytes):
        queue.send_data(command, value)
    else:
        command.dw0 = value
        queue.complete(command)


def _find(queue: Queue, command: Command, *, is_set: bool) -> Feature:
    controller, fid, nsid = queue.controller, command.words[10] & 0xFF, command.words[1]
    assert controller is not None
    feature = FEATURES.get(fid)
    if feature is None or controller.kind.type not in feature.types:
        raise CommandError(StatusCode.INVALID_FIELD, f"no feature {fid:#x}", location=40)
    check_feature(controller, fid, nsid, is_set=is_set)
    if controller.kind is IO and feature.scope == CONTROLLER and nsid not in (0, NSID_BROADCAST):
        if nsid > NAMESPACES_MAX:
            raise CommandError(StatusCode.INVALID_NAMESPACE, f"{nsid} is no namespace ID", location=4)
        if is_set:
            raise CommandError(StatusCode.FEATURE_NOT_PER_NAMESPACE, f"no namespace has a feature {fid:#x}", location=4)
    return feature


def _capabilities(feature: Feature) -> int:
    value = FeatureCapabilities(
        changeable=feature.is_changeable, namespace_specific=feature.scope == NAMESPACE, saveable=0
    )
    return int.from_bytes(value.encode(), "little")
