"""A file system of the kernel's on our namespace: made, filled, read back from the wire, trimmed, checked."""

from __future__ import annotations

from pathlib import Path

from interop.nvme_guest.kernel import Kernel
from interop.nvme_guest.session import Stage
from interop.nvme_guest.target import NQN
from interop.outcome import DisagreementError


def filesystem(stage: Stage) -> str:
    """discover, connect, mkfs.ext4, mount, files, sync, cold reads, fstrim, fsck, blkdiscard, disconnect."""
    kernel, image = stage.kernel, stage.image()
    with stage.target(str(image)) as target:
        found = kernel.run(f"nvme discover {stage.fabric.place(target.address)}")
        if NQN not in found or "nvme subsystem" not in found:
            raise DisagreementError(f"nvme discover does not find {NQN}:\n{found}")
        disk = kernel.connect(stage.fabric)
        size = int(kernel.run(f"blockdev --getsize64 {disk}"))
        if size != image.stat().st_size:
            raise DisagreementError(f"the kernel sees {size} bytes, the image has {image.stat().st_size}")
        full, trimmed = _fill(kernel, disk, image), _trim(kernel, image)
        kernel.run(f"e2fsck -f -n {disk}; blkdiscard {disk}; cmp -n {FILE_BYTES} {disk} /dev/zero")
        if image.stat().st_blocks:
            raise DisagreementError(f"{_stored(image)} bytes are left of the image after blkdiscard")
        kernel.disconnect()
    stored = f"the image took {full} bytes, {trimmed} once trimmed, then 0"
    return f"{FILES} files of {FILE_BYTES >> 10} KiB verified; {stored}"


def _fill(kernel: Kernel, disk: str, image: Path) -> int:
    """Make, mount and fill a file system; the bytes that the image takes then."""
    kernel.run(f"mke2fs -q -t ext4 {disk}; mount -t ext4 {disk} /mnt")
    kernel.run(
        f"cd /mnt; for name in {NAMES}; do head -c {FILE_BYTES} /dev/urandom > $name; done\n"
        "sha256sum file* > /tmp/sums; sync; echo 3 > /proc/sys/vm/drop_caches; sha256sum -c /tmp/sums"
    )
    stored = _stored(image)
    if stored < FILES * FILE_BYTES:
        raise DisagreementError(f"{stored} bytes are stored of {FILES * FILE_BYTES} that were synced")
    return stored


def _trim(kernel: Kernel, image: Path) -> int:
    """Remove the files, trim and unmount; the bytes that the image takes then, fewer by most of those of the files."""
    before = _stored(image)
    # sync commits the removal: ext4 trims nothing that its journal may still bring back.
    kernel.run("rm /mnt/file*; sync; fstrim /mnt; umount /mnt")
    after = _stored(image)
    if after > before - FILES * FILE_BYTES * 3 // 4:  # the journal has grown meanwhile
        raise DisagreementError(f"fstrim left {after} bytes of {before}, though {FILES * FILE_BYTES} are free")
    return after


def _stored(image: Path) -> int:
    return image.stat().st_blocks * 512


FILES, FILE_BYTES = 4, 256 << 10
NAMES = " ".join(f"file{number}" for number in range(FILES))
