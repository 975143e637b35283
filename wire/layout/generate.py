"""Find definition modules and make the text of their codecs."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import construct

from wire.layout.emit import module_text
from wire.layout.fields import layout_of

WIRE = Path(__file__).resolve().parent.parent


def layout_files(root: Path) -> Iterable[Path]:
    """Every definition module under `root`, in a fixed order."""
    return sorted(root.rglob("*_layout.py"))


def generate(path: Path) -> tuple[Path, str]:
    """Path and text of the codec for the definitions in `path`; LayoutError when one cannot be derived."""
    module = load(path)
    layouts = [layout_of(name, definition) for name, definition in definitions(module).items()]
    doc = (module.__doc__ or path.stem).splitlines()[0]
    source = path.relative_to(WIRE.parent).as_posix() if path.is_relative_to(WIRE) else path.name
    return path.with_name(path.stem.removesuffix("_layout") + "_codec.py"), module_text(source, doc, layouts)


def definitions(module: ModuleType) -> dict[str, Any]:
    """Class name and Construct of each definition: `CM_REQ` names `CmReq`, underscores in front name parts."""
    return {
        "".join(word.capitalize() for word in name.split("_")): value
        for name, value in vars(module).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, construct.Construct)
    }


def load(path: Path) -> ModuleType:
    """The module at `path`, loaded without its packages, which may import the codec that is yet to be written."""
    spec = importlib.util.spec_from_file_location(f"_layouts.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
