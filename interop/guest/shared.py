"""One guest for many cases: booted by the first that asks, replaced after it failed one, ended with the run."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self

from interop.guest.image import build_image
from interop.guest.machine import BootOptions, GuestError, Machine, boot
from interop.outcome import MissingToolError


class SharedGuest:
    """Lends out a machine; a context manager that ends it."""

    def __init__(self) -> None:
        self._running = contextlib.ExitStack()
        self._machine: Machine | None = None
        self._missing: MissingToolError | None = None

    def machine(self, mtu: int = 9000, *, multipath: bool = True) -> Machine:
        """A running guest of that kind; see `BootOptions`.

        MissingToolError, the same for every caller, when this machine cannot run one.
        """
        if self._missing is not None:
            raise self._missing
        options = BootOptions(mtu, multipath)
        if self._machine is None or self._machine.options != options:
            self.discard()
            self._machine = self._boot(options)
        return self._machine

    def discard(self) -> None:
        """End the machine; the next caller gets a new one. Idempotent."""
        self._machine = None
        self._running.close()

    def _boot(self, options: BootOptions) -> Machine:
        try:
            return self._running.enter_context(boot(build_image(), options))
        except MissingToolError as error:
            self._missing = error
            raise
        except GuestError as error:
            self._missing = MissingToolError(f"no guest, since an earlier one failed: {str(error).splitlines()[0]}")
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()
