"""tshark's output read as it comes: layers, fields with their parents, and what it complains of."""

from __future__ import annotations

import io

from interop.pdml import CHUNK_BYTES, Frame, read_pdml

PACKET = """
<packet>
  <proto name="geninfo" size="4"><field name="num" show="{number}" size="4"/></proto>
  <proto name="tcp"><field name="filtered" value="tcp"/></proto>
  <proto name="x" size="4">
    <field name="x.word" show="0x03" value="03" size="1">
      <field name="x.bit" show="1" value="1" unmaskedvalue="03" size="1"/>
    </field>
    <field show="Heading" size="2"><field name="x.below" show="a &amp; b" value="6126" size="2"/></field>
    <field name="_ws.expert" show="">
      <field name="_ws.expert.message" show="that is odd"/>
      <field name="_ws.expert.severity" show="6291456"/>
    </field>
    <field name="x.made_up" show="7"/>
  </proto>
  <proto name="x"><field name="x.word" show="4" value="04" size="1"/></proto>
</packet>
"""
MALFORMED = """
<packet>
  <proto name="geninfo"><field name="num" show="9"/></proto>
  <proto name="_ws.malformed">
    <field name="_ws.expert"><field name="_ws.expert.severity" show="8388608"/></field>
  </proto>
</packet>
"""


def read(*packets: str) -> list[Frame]:
    return [*read_pdml(io.BytesIO(f"<pdml>{''.join(packets)}</pdml>".encode()))]


def test_a_protocol_is_a_layer_each_time_it_comes() -> None:
    [frame] = read(PACKET.format(number=5))
    assert (frame.number, [layer.name for layer in frame.layers]) == (5, ["tcp", "x", "x"])
    assert [item.show for item in frame.layers[2].fields] == ["4"]
    assert frame.is_tcp
    assert not frame.is_malformed


def test_fields_know_their_bits_their_parts_and_the_nearest_field_with_a_name_above() -> None:
    [frame] = read(PACKET.format(number=1))
    word, bit, below, made_up = frame.layers[1].fields
    assert (word.value, word.size, word.has_parts, word.is_bits) == ("03", 1, True, False)
    assert (bit.is_bits, bit.parent, bit.has_parts) == (True, word, False)
    assert (below.show, below.parent.name if below.parent else "") == ("a & b", "x")
    assert (made_up.size, made_up.value) == (0, "")


def test_complaints_are_kept_apart_from_fields_and_those_of_tcp_do_not_count() -> None:
    expert = '<field name="_ws.expert"><field name="_ws.expert.severity" show="8388608"/></field>'
    [frame] = read(PACKET.format(number=1).replace('<field name="filtered" value="tcp"/>', expert))
    assert frame.experts == [(0x600000, "that is odd")]
    assert frame.layers[0].experts == [(0x800000, "")]
    [malformed] = read(MALFORMED)
    assert (malformed.number, malformed.is_malformed, malformed.experts) == (9, True, [(0x800000, "")])


def test_packets_longer_than_a_chunk_come_whole_and_in_order() -> None:
    long = PACKET.replace('value="04"', f'value="{"ab" * CHUNK_BYTES}"')
    frames = read(*(long.format(number=number) for number in range(1, 4)))
    assert [frame.number for frame in frames] == [1, 2, 3]
    assert {len(frame.layers[2].fields[0].value) for frame in frames} == {2 * CHUNK_BYTES}
