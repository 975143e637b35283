"""The store of one's own in docs/stores.md is one: it does what every store does."""

from __future__ import annotations

from pathlib import Path

from stacks.nvme.stores import Store
from tests.stacks.nvme.store_contract import StoreContract

PAGE = (Path(__file__).parent.parent.parent.parent / "docs" / "stores.md").read_text()


class TestStoreOfTheDocumentation(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        _, _, rest = PAGE.partition("\n## A store of your own\n")
        code = rest.partition("```python\n")[2].partition("async def main")[0]
        assert len(code.splitlines()) < 40
        names: dict[str, object] = {"__name__": "example"}
        exec(code, names)
        kind = names["Compressed"]
        assert isinstance(kind, type)
        assert Store in kind.__mro__
        store: Store = kind(1 << 10)  # type: ignore[call-arg]
        return store
