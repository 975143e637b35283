"""A Linux guest as a peer: Debian packages taken apart, booted under qemu in seconds, and driven by commands.

    packages -> image -> machine.boot -> Machine.run, Machine.capture
                                     -> Machine.namespace: where our processes meet it

`packages` downloads and unpacks into a cache, `image` picks programs and modules with all they need (`elf`, `cpio`),
`network` makes the namespace and its TAP device, `machine` boots, `agent` runs commands, `monitor` and `pcap` capture.
`shared` keeps one machine for many cases. `python -m interop.guest` is a shell in a guest. Nothing is installed, and
nothing is left behind but the cache. See docs/interop.md.
"""
