"""Memory by address, as a C program has it: what pyverbs' mem_alloc offers, on addresses of this process.

Everything but `malloc` and `mmap` trusts its address, as C does: a wrong one ends the process.
"""

from __future__ import annotations

import ctypes
import mmap as mapping

from stacks.rdma.verbs.errors import PyverbsError


def malloc(size: int) -> int:
    """The address of `size` fresh bytes, all zero, aligned to 16."""
    return posix_memalign(size, 16)


def posix_memalign(size: int, alignment: int = 8) -> int:
    """The address of `size` fresh bytes, all zero, aligned to `alignment` (a power of two, a page at most)."""
    if alignment > mapping.PAGESIZE or alignment & (alignment - 1):
        raise PyverbsError(f"an alignment of {alignment}: a power of two up to a page ({mapping.PAGESIZE}) it must be")
    return mmap(length=size)


def free(address: int) -> None:
    """Give back what `malloc` or `posix_memalign` gave; views of it keep it alive until they end."""
    _BLOCKS.pop(address, None)


def mmap(
    addr: int = 0, length: int = 100, prot: int = 3, flags: int = mapping.MAP_ANONYMOUS | mapping.MAP_PRIVATE,
    fd: int = -1, offset: int = 0,
) -> int:  # fmt: skip
    """The address of a fresh mapping; `addr`, a wish only, is not heard. PyverbsError when there is no such memory."""
    del addr
    try:
        block = mapping.mmap(fd, max(length, 1), flags=flags, prot=prot, offset=offset)
    except (OSError, ValueError) as error:
        raise PyverbsError(f"Failed to map memory of size {length}: {error}") from error
    address = address_of(memoryview(block))
    _BLOCKS[address] = block
    return address


def munmap(address: int, length: int) -> None:
    """Give back what `mmap` gave."""
    del length
    free(address)


def write(address: int, data: bytes | str, length: int) -> None:
    """Copy the first `length` bytes of `data` (text in UTF-8) to an address."""
    ctypes.memmove(address, data.encode() if isinstance(data, str) else bytes(data), length)


def writebe32(address: int, value: int, offset: int = 0) -> None:
    """Store 32 bits, big-endian, `offset` words of 4 bytes behind an address."""
    ctypes.memmove(address + 4 * offset, value.to_bytes(4, "big"), 4)


def writebe64(address: int, value: int, offset: int = 0) -> None:
    """Store 64 bits, big-endian, `offset` words of 8 bytes behind an address."""
    ctypes.memmove(address + 8 * offset, value.to_bytes(8, "big"), 8)


def read(address: int, length: int) -> bytes:
    """Copy `length` bytes from an address."""
    return ctypes.string_at(address, length)


def read32(address: int, offset: int = 0) -> int:
    """32 bits in the machine's order, `offset` words of 4 bytes behind an address."""
    return ctypes.c_uint32.from_address(address + 4 * offset).value


def read64(address: int, offset: int = 0) -> int:
    """64 bits in the machine's order, `offset` words of 8 bytes behind an address."""
    return ctypes.c_uint64.from_address(address + 8 * offset).value


def fresh_view(length: int) -> memoryview:
    """`length` fresh bytes, all zero, that begin at a page; they live as long as a view of them does."""
    return memoryview(mapping.mmap(-1, max(length, 1)))[:length]


def view_at(address: int, length: int) -> memoryview:
    """The bytes at an address. Memory of this module is kept alive; other memory its owner must keep."""
    block = _BLOCKS.get(address)
    if block is not None and length <= len(block):
        return memoryview(block)[:length]
    return memoryview((ctypes.c_ubyte * length).from_address(address)).cast("B")


def address_of(view: memoryview) -> int:
    """Where the bytes of a view are."""
    if not view.nbytes:
        return 0
    if view.readonly:
        return _address_of_read_only(view)
    return ctypes.addressof(ctypes.c_ubyte.from_buffer(view))


def _address_of_read_only(view: memoryview) -> int:
    # ctypes takes only writable buffers; the C interface gives the pointer of any.
    buffer = _PyBuffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), ctypes.byref(buffer), 0)
    try:
        return buffer.buf or 0
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))


class _PyBuffer(ctypes.Structure):
    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


_BLOCKS: dict[int, mapping.mmap] = {}
"""What `malloc` and its like gave out: as in C, the process's."""

MAP_ANONYMOUS_ = mapping.MAP_ANONYMOUS
MAP_PRIVATE_ = mapping.MAP_PRIVATE
MAP_HUGETLB_ = 0x40000
PROT_READ_ = mapping.PROT_READ
PROT_WRITE_ = mapping.PROT_WRITE
