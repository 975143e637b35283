"""The files of a folder by the paths of URLs, and nothing outside of it."""

from __future__ import annotations

import mimetypes
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote


@dataclass(slots=True)
class Document:
    """An open file. descriptor: closed by whoever has it. size_bytes: when it was opened: so much is served."""

    descriptor: int
    size_bytes: int
    content_type: str


class Documents:
    """A folder. NotADirectoryError or FileNotFoundError where there is none."""

    def __init__(self, folder: Path) -> None:
        self._root = folder.resolve(strict=True)
        if not self._root.is_dir():
            raise NotADirectoryError(20, "not a directory", str(folder))

    def open(self, target: str) -> Document | int:
        """The file that a request's path means, or the HTTP status that says why not: 404, 403, 400.

        A folder stands for its index.html. Symbolic links are followed as long as they stay inside.
        """
        path = unquote(target.partition("?")[0].partition("#")[0])
        if not path.startswith("/") or "\0" in path:
            return BAD_REQUEST
        try:
            real = (self._root / path.lstrip("/")).resolve(strict=True)
            if not real.is_relative_to(self._root):
                return NOT_FOUND
            if real.is_dir():
                real = (real / INDEX).resolve(strict=True)
                if not real.is_relative_to(self._root):
                    return NOT_FOUND
            descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except PermissionError:
            return FORBIDDEN
        except (OSError, RuntimeError, UnicodeEncodeError):  # missing, too long, a loop of links, no name at all
            return NOT_FOUND
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            return NOT_FOUND
        kind = mimetypes.guess_type(real.name)[0] or "application/octet-stream"
        return Document(descriptor, status.st_size, kind)


INDEX = "index.html"
BAD_REQUEST, FORBIDDEN, NOT_FOUND = 400, 403, 404
