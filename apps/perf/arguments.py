"""What the commands of `baremetal perf` take on their command line, where saying it takes more than a line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.arguments import parse_address, parse_path_mtu, parse_url
from apps.nvme.sources import parse_source
from apps.perf.nvme import Carrier
from apps.perf.sweep import Sizes, parse_sizes
from apps.sizes import parse_duration, parse_size, parse_some
from stacks.nvme.url import NvmeUrl

Duration = Annotated[int, typer.Option("--time", parser=parse_duration, metavar="TIME", help="For how long.")]
Mix = Annotated[int, typer.Option(min=0, max=100, help="Percentage of reads in rw and randrw.")]
Seed = Annotated[int, typer.Option(help="Of random places and content.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

Listen = Annotated[str, typer.Option(parser=parse_address, metavar="ADDRESS", help="IP address of the device.")]
Memory = Annotated[int, typer.Option(parser=parse_some, metavar="SIZE", help="Memory for clients.")]

Peer = Annotated[
    str | None,
    typer.Argument(
        parser=parse_address, metavar="ADDRESS", help="IP address of a `perf serve`; left out, one is started."
    ),
]
Payload = Annotated[int, typer.Option(parser=parse_some, metavar="SIZE", help="Payload of one.")]
MemorySpan = Annotated[
    int,
    typer.Option(parser=parse_size, metavar="SIZE", help="How much of the peer's memory; 0: one block each under way."),
]
PathMtu = Annotated[
    int, typer.Option(parser=parse_path_mtu, metavar="SIZE", help="Path MTU: 256 to 4096; 0: the largest.")
]
Bidirectional = Annotated[
    bool, typer.Option("--bidirectional", help="The peer does the same to our memory; the sum is shown.")
]
PeerCpus = Annotated[str | None, typer.Option(help="Processors of the started peer and of this process, as 0,1.")]
Latency = Annotated[bool, typer.Option("--latency", help="One operation at a time, measured as by perftest's *_lat.")]
ChosenSizes = Annotated[
    Sizes | None, typer.Option(parser=parse_sizes, metavar="SIZE,SIZE", help="A run for each, and a table.")
]
AllSizes = Annotated[bool, typer.Option("--all-sizes", help="The same with 2 bytes to 8 MiB.")]
Plot = Annotated[Path | None, typer.Option(help="Draw bandwidth and latency over the size, as .png or .html.")]

Url = Annotated[
    NvmeUrl | None,
    typer.Argument(
        parser=parse_url, metavar="URL", help="nvme+rdma://HOST:PORT/NQN/NSID; left out, a target is started."
    ),
]
CommandBytes = Annotated[int, typer.Option(parser=parse_some, metavar="SIZE", help="Bytes of one command.")]
NamespaceSpan = Annotated[
    int, typer.Option(parser=parse_size, metavar="SIZE", help="How much of the namespace, from its start; 0: all.")
]
Fill = Annotated[bool, typer.Option(help="Write random data to the span first; destroys what is there.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Allow to destroy what a given URL or --namespace image holds.")
]
Served = Annotated[
    str,
    typer.Option(
        parser=parse_source, metavar="IMAGE", help="What a started target serves: an image file, or mem:SIZE."
    ),
]
StartedBy = Annotated[Carrier, typer.Option("--transport", help="What a started target is reached by.")]
TargetCpus = Annotated[str | None, typer.Option(help="Processors of the started target and of this process, as 0,1.")]
