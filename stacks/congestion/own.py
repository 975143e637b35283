"""Controllers in a file of the user's own: `./mine.py:MyController`.

The file is Python, and the name behind the colon a class or function that makes a `Controller` from a `Flow`, as those
of the catalogue do. It is run once in each process that uses it; its folder is not on the search path of modules.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from stacks.congestion.controller import ControllerFactory
from stacks.runtime.errors import LocalError


def is_own(name: str) -> bool:
    """Whether a controller's name is that of a file."""
    path, colon, _ = name.rpartition(":")
    return (bool(colon) and path.endswith(".py")) or name.endswith(".py")


def place_controller(name: str, folder: str | Path) -> str:
    """The same name with a whole path, if it names a file; `folder` is where its path begins."""
    if not is_own(name):
        return name
    path, _, word = name.rpartition(":") if not name.endswith(".py") else (name, "", "")
    return f"{Path(folder, path).expanduser().resolve()}:{word}"


def own_file(name: str) -> Path | None:
    """The file that a controller's name names, None for one of the catalogue."""
    return Path(name.rpartition(":")[0]) if is_own(name) else None


@lru_cache(maxsize=64)
def load_controller(name: str) -> ControllerFactory:
    """What makes the controllers of `FILE.py:NAME`; LocalError, in one line with the place, when it cannot be had."""
    path, _, word = name.rpartition(":")
    if not word:
        raise LocalError(f"{path or name} is a file: name the class in it as well, {path or name}:MyController")
    module = _load(path)
    factory = getattr(module, word, None)
    if factory is None:
        raise LocalError(f"{path} has no {word}; {_offer(module)}")
    if not callable(factory):
        raise LocalError(f"{path}: {word} is no class or function that makes a controller")
    made: ControllerFactory = factory
    return made


def blame(error: BaseException, path: str | Path) -> str | None:
    """`FILE:LINE: what went wrong` for an exception that came through a file; None when it did not."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}:{error.lineno}: {error.msg}"
    if not lines:
        return None
    return f"{path}:{lines[-1]}: {type(error).__name__}: {error}"


def _load(path: str) -> ModuleType:
    name = f"controller in {path}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None or not Path(path).is_file():
        raise LocalError(f"{path}: no such file; write FILE.py:CLASS with the path of your controller")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise LocalError(blame(error, path) or f"{path}: {type(error).__name__}: {error}") from error
    return module


def _offer(module: ModuleType) -> str:
    names = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
    return f"there are: {', '.join(names)}" if names else "there is no class in it"
