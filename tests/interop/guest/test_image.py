"""What a guest is made of: archives that Linux unpacks, and what ELF files say that they need."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from interop.guest import cpio
from interop.guest.elf import NotElfError, interpreter, module_fields, needed_libraries, sections
from interop.guest.image import depends, module_index
from interop.guest.packages import tree_key


def elf(parts: dict[str, bytes]) -> bytes:
    """A file of nothing but sections; the names come last."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in [*parts, ".shstrtab"])
    body, headers = b"", [struct.pack("<IIQQQQLLQQ", *[0] * 10)]
    for name, data in {**parts, ".shstrtab": names}.items():
        where = names.index(b"\0" + name.encode() + b"\0") + 1
        headers.append(struct.pack("<IIQQQQIIQQ", where, 1, 0, 0, 64 + len(body), len(data), 0, 0, 0, 0))
        body += data
    head = bytearray(64)
    head[:6] = b"\x7fELF\x02\x01"
    head[0x28:0x30] = struct.pack("<Q", 64 + len(body))
    head[0x3A:0x40] = struct.pack("<HHH", 64, len(headers), len(headers) - 1)
    return bytes(head) + body + b"".join(headers)


def test_needed_libraries_are_those_of_the_dynamic_section() -> None:
    dynamic = b"".join(struct.pack("<QQ", tag, value) for tag, value in ((1, 1), (14, 5), (1, 11), (0, 0)))
    program = elf({".dynstr": b"\0liba.so.1\0libb.so\0", ".dynamic": dynamic, ".interp": b"/lib64/ld.so\0"})
    assert needed_libraries(program) == ["liba.so.1", "libb.so"]
    assert interpreter(program) == "/lib64/ld.so"


def test_static_program_needs_nothing() -> None:
    assert needed_libraries(elf({".text": b"\x90"})) == []
    assert interpreter(elf({".text": b"\x90"})) is None


def test_this_python_is_read_as_an_elf_file() -> None:
    names = sections(Path(sys.executable).resolve().read_bytes())
    assert {".text", ".dynamic", ".interp"} <= set(names)


def test_module_says_what_it_depends_on() -> None:
    module = elf({".modinfo": b"license=GPL\0depends=ib-core,udp_tunnel\0name=rdma_rxe\0"})
    assert module_fields(module)["name"] == "rdma_rxe"
    assert depends(module_fields(module)) == ["ib_core", "udp_tunnel"]
    assert depends({"depends": ""}) == []


@pytest.mark.parametrize("cut", range(0, 64, 7))
def test_cut_off_elf_file_is_refused(cut: int) -> None:
    whole = elf({".text": b"\x90" * 32})
    with pytest.raises(NotElfError):
        sections(whole[: len(whole) - 64 * 2 - cut - 1])


def test_what_is_no_elf_file_is_refused() -> None:
    with pytest.raises(NotElfError):
        sections(b"#!/bin/sh\n")


def test_module_stands_behind_all_that_need_it() -> None:
    below = {"rxe": ["core", "tunnel"], "core": ["crc"], "tunnel": ["net", "core"], "net": [], "crc": []}
    lines = dict(line.split(":") for line in module_index(below, {name: f"{name}.ko" for name in below}))
    assert lines["crc.ko"] == ""
    order = lines["rxe.ko"].split()
    assert sorted(order) == ["core.ko", "crc.ko", "net.ko", "tunnel.ko"]
    assert order.index("tunnel.ko") < order.index("core.ko") < order.index("crc.ko")


def test_archive_has_every_folder_before_what_is_in_it() -> None:
    data = cpio.archive([cpio.file("a/b/c", b"text"), cpio.link("a/d", "b/c")])
    assert [data.index(name + b"\0") for name in (b"a", b"a/b", b"a/b/c", b"a/d", b"TRAILER!!!")] == sorted(
        data.index(name + b"\0") for name in (b"a", b"a/b", b"a/b/c", b"a/d", b"TRAILER!!!")
    )


def test_same_entries_give_the_same_archive_and_first_of_two_wins() -> None:
    once = cpio.archive([cpio.file("x", b"one")])
    assert once == cpio.archive([cpio.file("x", b"one"), cpio.file("x", b"two")])
    assert len(once) % 4 == 0


@pytest.mark.skipif(not shutil.which("cpio"), reason="cpio is not installed")
def test_cpio_unpacks_the_archive(tmp_path: Path) -> None:
    data = cpio.archive([cpio.file("bin/run", b"#!/bin/sh\n", is_executable=True), cpio.link("run", "bin/run")])
    subprocess.run(["cpio", "--extract", "--quiet"], cwd=tmp_path, input=data, check=True)
    assert (tmp_path / "run").read_bytes() == b"#!/bin/sh\n"
    assert (tmp_path / "bin" / "run").stat().st_mode & 0o777 == 0o755


def test_header_of_a_member_is_that_of_newc() -> None:
    data = cpio.archive([cpio.character_device("console", 5, 1)])
    fields = [int(data[6 + 8 * number : 14 + 8 * number], 16) for number in range(13)]
    assert data[:6] == b"070701"
    assert (fields[1], fields[9:11], fields[11]) == (0o020600, [5, 1], len("console") + 1)


def test_tree_is_named_after_the_set_of_packages() -> None:
    assert tree_key(["a", "b"]) == tree_key(["b", "a", "a"]) != tree_key(["a"])
