"""Memory by address."""

from stacks.rdma.verbs.mem_alloc import (
    MAP_ANONYMOUS_,
    MAP_HUGETLB_,
    MAP_PRIVATE_,
    PROT_READ_,
    PROT_WRITE_,
    free,
    malloc,
    mmap,
    munmap,
    posix_memalign,
    read,
    read32,
    read64,
    write,
    writebe32,
    writebe64,
)

__all__ = [
    "MAP_ANONYMOUS_",
    "MAP_HUGETLB_",
    "MAP_PRIVATE_",
    "PROT_READ_",
    "PROT_WRITE_",
    "free",
    "malloc",
    "mmap",
    "munmap",
    "posix_memalign",
    "read",
    "read32",
    "read64",
    "write",
    "writebe32",
    "writebe64",
]
