"""`python -m interop.nvme_guest.fused_pair URL BLOCK [--insist]`: Compare and Write as one step, by our initiator.

The block has to hold the letter `a` all over. A pair that expects `b` has to be refused, one that expects `a` makes
it `c`. Prints what became of each as a line of JSON: `done`, or the words of the error. With --insist the pair is sent
even though the controller says that it has none.
"""

from __future__ import annotations

import json
import sys

from stacks.nvme.sync import Namespace, connect
from stacks.runtime.errors import StackError


def main() -> None:
    """Send two pairs, and one more that is longer than the block."""
    url, block = sys.argv[1], int(sys.argv[2])
    with connect(url) as namespace:
        core = namespace.core
        offered = core.compare_and_write_blocks
        if "--insist" in sys.argv:
            core.compare_and_write_blocks = max(offered, 1)
        found = [_tried(namespace, block, b"b", b"x"), _tried(namespace, block, b"a", b"c")]
        found.append(_tried(namespace, block, b"c", b"d", blocks=offered + 1))
    print(json.dumps({"offered": offered, "outcomes": found}))


def _tried(namespace: Namespace, block: int, expected: bytes, data: bytes, *, blocks: int = 1) -> str:
    size = namespace.block_bytes * blocks
    try:
        namespace.compare_and_write(block, expected * size, data * size)
    except StackError as error:
        return str(error)
    return "done"


if __name__ == "__main__":
    main()
