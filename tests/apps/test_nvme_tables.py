"""What a peer says about itself is shown, and does nothing else."""

from __future__ import annotations

import io

from rich.console import Console

from apps.nvme.tables import identity, show_discovered
from stacks.nvme.host import DiscoveredSubsystem
from wire.nvme.identify_codec import IdentifyController


def test_identities_show_text_as_text_and_bytes_as_hex() -> None:
    controller = IdentifyController(sn=b"BM0001".ljust(20), ieee=b"\x01\x02\x03", mdts=8)
    fields = identity(controller, without=("psd", "vendor"))
    assert (fields["sn"], fields["ieee"], fields["mdts"]) == ("BM0001", "010203", 8)
    assert "psd" not in fields


def test_a_peers_text_cannot_drive_the_terminal() -> None:
    assert identity(IdentifyController(mn=b"\x1b[2Jevil".ljust(40)))["mn"] == "?[2Jevil"
    output = io.StringIO()
    entry = DiscoveredSubsystem("rdma", "ipv4", "nvm", "nqn.x:[red]\x1b[2J[/red]", "192.0.2.1", "4420")
    show_discovered([entry], Console(file=output, width=200), as_json=False)
    assert "nqn.x:[red]?[2J[/red]" in output.getvalue()
