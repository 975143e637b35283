"""The admin commands of a connection, in both faces: a base class for each `Connection`.

    connection.identify(pages.CONTROLLER).mn
    connection.get_log_page(pages.SMART).host_reads
    connection.get_features(FeatureId.VOLATILE_WRITE_CACHE).value
    connection.set_features(FeatureId.VOLATILE_WRITE_CACHE, 0)

`stacks.nvme.host.pages` has what can be asked for by name; a number gives plain bytes. Each call raises CommandFailed
for a status.
"""

from __future__ import annotations

from typing import TypeVar, overload

from stacks.nvme.host import FeatureValue, HostController
from stacks.nvme.host.admin import read_feature, read_identify, read_log, write_feature
from stacks.nvme.host.pages import IdentifyPage, Log
from stacks.nvme.host.script import Steps
from wire.nvme.opcodes import NSID_BROADCAST

T = TypeVar("T")


class AdminCalls:
    """For programs without an event loop."""

    @property
    def host(self) -> HostController:
        """The association in the core."""
        raise NotImplementedError

    def run_steps(self, steps: Steps) -> None:
        """Run a sequence of admin commands, and raise what ended it."""
        raise NotImplementedError

    @overload
    def identify(self, page: IdentifyPage[T], *, nsid: int = ..., csi: int = ...) -> T: ...

    @overload
    def identify(self, page: int, *, nsid: int = ..., csi: int = ...) -> bytes: ...

    def identify(self, page: IdentifyPage[T] | int, *, nsid: int = 0, csi: int = 0) -> T | bytes:
        """What the controller says of itself or a namespace. page: one of `pages`, or a CNS number."""
        found: list[memoryview] = []
        self.run_steps(read_identify(found, cns=_cns(page), nsid=nsid, csi=csi))
        return bytes(found[0]) if isinstance(page, int) else page.decode(found[0])

    @overload
    def get_log_page(
        self, page: Log[T], *, nsid: int = ..., retain: bool = ..., parameter: int = ..., length: int = ...
    ) -> T: ...

    @overload
    def get_log_page(
        self, page: int, *, nsid: int = ..., retain: bool = ..., parameter: int = ..., length: int = ...
    ) -> bytes: ...

    def get_log_page(
        self,
        page: Log[T] | int,
        *,
        nsid: int = NSID_BROADCAST,
        retain: bool = False,
        parameter: int = 0,
        length: int = 0,
    ) -> T | bytes:
        """A log page. page: one of `pages`, or its number; length: in bytes, 0 for the usual; parameter: LSP.

        retain: leave the event that belongs to the page masked, as a look that is not an answer to it.
        """
        found: list[memoryview] = []
        number, usual = _log(page)
        self.run_steps(
            read_log(
                self.host,
                found,
                page=number,
                length=length or usual,
                nsid=nsid,
                retain=retain,
                parameter=parameter,
            )
        )
        return bytes(found[0]) if isinstance(page, int) else page.decode(found[0])

    def get_features(self, fid: int, *, select: int = 0, value: int = 0, nsid: int = 0) -> FeatureValue:
        """A feature's value. select: a `FeatureSelect`; value: CDW11, what else the feature has to be told."""
        found: list[FeatureValue] = []
        self.run_steps(read_feature(found, fid=fid, select=select, value=value, nsid=nsid))
        return found[0]

    def set_features(
        self, fid: int, value: int = 0, *, nsid: int = 0, data: bytes = b"", is_saved: bool = False
    ) -> int:
        """Change a feature; what the controller answered in DW0. data: for a feature whose value is data."""
        found: list[int] = []
        self.run_steps(write_feature(found, fid=fid, value=value, nsid=nsid, data=data, is_saved=is_saved))
        return found[0]


class AsyncAdminCalls:
    """For programs with one."""

    @property
    def host(self) -> HostController:
        """The association in the core."""
        raise NotImplementedError

    async def run_steps(self, steps: Steps) -> None:
        """Run a sequence of admin commands, and raise what ended it."""
        raise NotImplementedError

    @overload
    async def identify(self, page: IdentifyPage[T], *, nsid: int = ..., csi: int = ...) -> T: ...

    @overload
    async def identify(self, page: int, *, nsid: int = ..., csi: int = ...) -> bytes: ...

    async def identify(self, page: IdentifyPage[T] | int, *, nsid: int = 0, csi: int = 0) -> T | bytes:
        """What the controller says of itself or a namespace. page: one of `pages`, or a CNS number."""
        found: list[memoryview] = []
        await self.run_steps(read_identify(found, cns=_cns(page), nsid=nsid, csi=csi))
        return bytes(found[0]) if isinstance(page, int) else page.decode(found[0])

    @overload
    async def get_log_page(
        self, page: Log[T], *, nsid: int = ..., retain: bool = ..., parameter: int = ..., length: int = ...
    ) -> T: ...

    @overload
    async def get_log_page(
        self, page: int, *, nsid: int = ..., retain: bool = ..., parameter: int = ..., length: int = ...
    ) -> bytes: ...

    async def get_log_page(
        self,
        page: Log[T] | int,
        *,
        nsid: int = NSID_BROADCAST,
        retain: bool = False,
        parameter: int = 0,
        length: int = 0,
    ) -> T | bytes:
        """A log page; the arguments are those of `AdminCalls.get_log_page`."""
        found: list[memoryview] = []
        number, usual = _log(page)
        await self.run_steps(
            read_log(
                self.host,
                found,
                page=number,
                length=length or usual,
                nsid=nsid,
                retain=retain,
                parameter=parameter,
            )
        )
        return bytes(found[0]) if isinstance(page, int) else page.decode(found[0])

    async def get_features(self, fid: int, *, select: int = 0, value: int = 0, nsid: int = 0) -> FeatureValue:
        """A feature's value. select: a `FeatureSelect`; value: CDW11, what else the feature has to be told."""
        found: list[FeatureValue] = []
        await self.run_steps(read_feature(found, fid=fid, select=select, value=value, nsid=nsid))
        return found[0]

    async def set_features(
        self, fid: int, value: int = 0, *, nsid: int = 0, data: bytes = b"", is_saved: bool = False
    ) -> int:
        """Change a feature; what the controller answered in DW0. data: for a feature whose value is data."""
        found: list[int] = []
        await self.run_steps(write_feature(found, fid=fid, value=value, nsid=nsid, data=data, is_saved=is_saved))
        return found[0]


def _cns(page: IdentifyPage[T] | int) -> int:
    return page if isinstance(page, int) else page.cns


def _log(page: Log[T] | int) -> tuple[int, int]:
    # (number, usual length)
    return (page, USUAL_BYTES) if isinstance(page, int) else (page.number, page.length)


USUAL_BYTES = 4096
