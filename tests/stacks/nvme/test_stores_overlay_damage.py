"""Layers that were damaged: it is noticed when they are opened."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from stacks.nvme.stores.overlay.layer import LayerFile
from stacks.runtime import LocalError
from tests.stacks.nvme.overlay_rig import Reusing
from tests.stacks.nvme.store_contract import pattern, read
from tests.stacks.nvme.vanishing_file import VanishingFile


@pytest.fixture(params=[512, 4096])
def life(request: pytest.FixtureRequest) -> Reusing:
    return Reusing(request.param)


def content_of(file: VanishingFile) -> bytearray:
    whole = bytearray(file.size())
    file.read_into(0, memoryview(whole))
    return whole


def file_with(content: bytearray) -> VanishingFile:
    file = VanishingFile(len(content))
    for start in range(0, len(content), 8192):
        file.write_from(start, [memoryview(content)[start : start + 8192]])
    return file


def pages_of(layer: LayerFile, cell: int, level: int) -> set[int]:
    """The cells of all pages of a map."""
    if cell < 2:
        return set()
    below = layer.read_page(cell, level) if level else ()
    return {cell}.union(*(pages_of(layer, entry, level - 1) for entry in below))


def test_damage_of_any_page_of_a_map_is_noticed_when_the_layer_is_opened() -> None:
    life, rng = Reusing(512), random.Random(3)
    store = life.open()
    for block in range(0, 2000, 200):
        store.write(block, [memoryview(pattern(store, 70, block))])
    store.snapshot("one")
    store.write(60, [memoryview(pattern(store, 100))])
    store.close()
    layer = LayerFile(life.file, "layer")
    roots = (layer.known_state.root, layer.known_state.snapshots[0].root)
    pages = set().union(*(pages_of(layer, root, layer.map_of(0).top) for root in roots))
    assert len(pages) > 20
    whole = content_of(life.file)
    for cell in pages:
        damaged = bytearray(whole)
        damaged[cell * 512 + int(rng.random() * 512)] ^= 1 << int(rng.random() * 8)
        life.file = file_with(damaged)
        with pytest.raises(LocalError, match=f"the layer is damaged: page {cell} "):
            life.open()


def test_a_damaged_header_leads_to_the_one_before_and_two_to_nothing() -> None:
    life = Reusing()
    store = life.open()
    for number in range(2):
        store.write(0, [memoryview(pattern(store, 10, number))])
        store.flush()
    whole = content_of(life.file)
    for at in range(0, 4096, 37):
        damaged = bytearray(whole)
        damaged[at] ^= 4
        life.file = file_with(damaged)
        assert read(life.open(), 0, 10) == pattern(store, 10, 0)
        damaged[4096 + at] ^= 4
        life.file = file_with(damaged)
        with pytest.raises(LocalError, match="no layer of an overlay, or damaged"):
            life.open()


def test_a_map_that_leads_out_of_the_file_or_into_the_headers_is_damaged() -> None:
    for root in (2, 3, 1 << 40):
        life = Reusing(512)
        life.open()
        layer = LayerFile(life.file, "layer")
        layer.commit(replace(layer.known_state, generation=1, root=root))
        with pytest.raises(LocalError, match="the layer is damaged: its map leads to cell"):
            life.open()


def test_a_layer_that_lost_its_end_is_damaged() -> None:
    life = Reusing()
    store = life.open()
    store.write(0, [memoryview(pattern(store, 20))])
    store.close()
    life.file.is_open = True
    life.file.resize(life.file.size() - 4096)
    with pytest.raises(LocalError, match="the layer is damaged"):
        life.open()
