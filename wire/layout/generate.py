"""Find definition modules and make the text of their codecs."""

import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import construct

from wire.layout.emit import module_text
from wire.layout.fields import layout_of

WIRE = Path(__file__).resolve().parent.parent


def layout_files(root: Path) -> Sequence[Path]:
    """Every definition module under `root`, in a fixed order."""
    return sorted(root.rglob("*_layout.py"))


def generate(path: Path) -> tuple[Path, str]:
    """Path and text of the codec for the definitions in `path`; LayoutError when one cannot be derived."""
    module = load(path)
    layouts = [layout_of(name, definition) for name, definition in definitions(module).items()]
    source = path.relative_to(WIRE.parent).as_posix() if path.is_relative_to(WIRE) else path.name
    text = module_text(source, module["__doc__"].splitlines()[0], layouts)
    return path.with_name(path.stem.removesuffix("_layout") + "_codec.py"), text


def definitions(module: dict[str, Any]) -> dict[str, Any]:
    """Class name and Construct of each definition: `CM_REQ` names `CmReq`, underscores in front name parts."""
    return {
        "".join(word.capitalize() for word in name.split("_")): value
        for name, value in module.items()
        if name.isupper() and not name.startswith("_") and isinstance(value, construct.Construct)
    }


def load(path: Path) -> dict[str, Any]:
    """What the module at `path` defines; run without its packages, which may import the codec yet to be written."""
    return runpy.run_path(str(path))
