"""Identify, by every CNS that there is, and what the kernel and nvme-cli make of it."""

from __future__ import annotations

from interop.nvme_guest.rows import Row, fails

ROWS = (
    Row(
        "nvme id-ctrl {controller}",
        (
            r"\bmn +: BareMetal NVMe",
            r"\bver +: 0x20000",
            r"\bcntrltype +: 1",
            r"\bkas +: 10",
            r"\bnn +: [1-9]",
            r"\boncs +: 0x1ff\b",
            r"\bfuses +: 0x1\b",
            r"\bvwc +: 0x5\b",
            r"\bacwu +: 15\b",
            r"\bocfs +: 0x1\b",
            r"\bsubnqn +: {nqn}",
            r"\bioccsz +: [1-9]",
            r"\biorcsz +: 1\b",
        ),
    ),
    Row("nvme id-ctrl {controller} -H", ("Compare Supported", "Copy Supported", "Fused Compare and Write Supported")),
    Row("nvme id-ns {disk}", (r"nsze +: 0x4000\b", r"nmic +: 0x1", r"nvmcap +: 67108864", r"lbads:12 .*in use")),
    Row("nvme id-ns {disk}", (r"msrc +: 127\b", r"rescap +: 0xff\b", r"dlfeat +: 9\b", r"nguid +: (?!0{32})\w{32}")),
    Row("nvme id-ns {controller} -n 2", (r"nsze +: 0$", r"nguid +: 0{32}")),
    fails("nvme id-ns {controller} -n 0x1000", "Invalid Namespace or Format"),
    Row("nvme cmdset-ind-id-ns {controller} -n 1", (r"anagrpid: 1", r"rescap +: 0xff\b", r"nstat +: 0x1")),
    Row("nvme nvm-id-ns {disk}", (r"elbaf  0 : pif:0",)),
    Row("nvme nvm-id-ctrl {controller}", (r"vsl +: 0", r"dmrl +: ")),
    Row("nvme id-iocs {controller}", (r"Combination\[0\]:1\b",)),
    Row("nvme list-ns {controller}", (r"\A\[ +0\]:0x1\n\Z",)),
    Row("nvme list-ns {controller} -n 1", (r"\A\[ +0\]:0x1\n\Z",)),  # it takes the first that it wants
    Row("nvme list-ns {controller} -n 2", (r"\A\Z",)),
    Row("nvme list-ns {controller} -y 0", (r"\A\[ +0\]:0x1\n\Z",)),
    Row("nvme ns-descs {disk}", (r"nguid +: (?!0{32})\w{32}", r"uuid +: \w{8}-", r"csi +: 0")),
    Row("nvme get-ns-id {disk}", ("namespace-id:1",)),
    Row("nvme list", (r"{disk} .*BareMetal NVMe .* 67.11  MB /  67.11  MB +4 KiB",)),
    Row("nvme list-subsys", ("NQN={nqn}", r"\blive\b")),
    Row("nvme list-subsys {disk}", ("NQN={nqn}", r"\blive optimized\b")),
    Row("nvme show-topology", (r"\blive optimized",)),
    Row("nvme admin-passthru {controller} -o 6 --cdw10=1 -l 4096 -r", ("Identify is Success", "BM[0-9A-F]+")),
)
