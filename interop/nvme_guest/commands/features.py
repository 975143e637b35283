"""Features: for each its default, what may be done with it, and a value that is set, read and set back; properties."""

from __future__ import annotations

from interop.nvme_guest.rows import Row, fails


def _value(fid: int, value: int, *, words: str = "", kind: str = "Current") -> Row:
    return Row(f"nvme get-feature {{controller}} -f {fid:#x} {words}", (rf"{kind} value:(0x)?{value:08x}\b",))


def _set(fid: int, value: int, *, words: str = "") -> Row:
    return Row(f"nvme set-feature {{controller}} -f {fid:#x} -v {value:#x} {words}", (rf"value:(0x)?{value:08x}\b",))


def _number(fid: int, default: int, *, to: int, back: int, words: str = "") -> tuple[Row, ...]:
    """A feature that is one number; of a namespace with `words` that name it."""
    return (
        _value(fid, default, words=f"{words} -s 1", kind="Default"),
        _value(fid, back, words=words),
        Row(
            f"nvme get-feature {{controller}} -f {fid:#x} {words} -s 3",
            ("is changeable", *(("is per-namespace",) if words else ())),
        ),
        _set(fid, to, words=words),
        _value(fid, to, words=words),
        _set(fid, back, words=words),
    )


def _refuses(fid: int, words: str, error: str = "Invalid Field") -> Row:
    return fails(f"nvme set-feature {{controller}} -f {fid:#x} {words}", error)


OF_NAMESPACE = "-n 1"
NUMBERS = (
    *_number(0x1, 0, to=0x7F030201, back=0),
    *_number(0x2, 0, to=0x20, back=0),
    *_number(0x4, 0x157, to=0x140, back=0x157),
    *_number(0x5, 0, to=10, back=0, words=OF_NAMESPACE),
    *_number(0x6, 1, to=0, back=1),
    *_number(0xA, 0, to=1, back=0),
    *_number(0xB, 0, to=0x100, back=0x900),  # the kernel wants to hear of namespaces and of ANA
    *_number(0xF, 120_000, to=7000, back=5000),
    *_number(0x82, 0, to=0xE, back=0, words=OF_NAMESPACE),
    *_number(0x83, 0, to=1, back=0, words=OF_NAMESPACE),
)
TEMPERATURE = (
    _value(0x4, 0, words="--cdw11=0x100000"),  # the threshold for too cold
    _set(0x4, 300),
    Row("nvme smart-log {controller}", (r"critical_warning\s+: 0x2\b", r"\(313 Kelvin\)")),
    _set(0x4, 0x157),
    Row("smart critical_warning", ("^0$",)),
)
STRUCTURES = (
    # The kernel has set its time; what is counted from a value that is set begins there.
    Row("nvme get-feature {controller} -f 0xe -H", (r"timestamp is : \d{13} ", "initialized .* Set Features")),
    Row(r"printf '\0\0\0\0\1\0\0\0' > /tmp/ts; nvme set-feature {controller} -f 0xe -l 8 -d /tmp/ts", ("Timestamp",)),
    Row("nvme get-feature {controller} -f 0xe -H", (r"timestamp is : 42949\d{5} \(Thu Feb 19 .* 1970",)),
    Row("nvme get-feature {controller} -f 0x16 -H", ("Host Behavior Support: False",)),
    Row(r"printf '\1' > /tmp/behavior; head -c 511 /dev/zero >> /tmp/behavior; wc -c < /tmp/behavior", ("^512$",)),
    Row("nvme set-feature {controller} -f 0x16 -l 512 -d /tmp/behavior", ("Host Behavior",)),
    Row("nvme get-feature {controller} -f 0x16 -H", ("Host Behavior Support: True",)),
    Row("nvme set-feature {controller} -f 0x16 -l 512 -d /dev/zero", ("Host Behavior",)),
    Row("nvme get-feature {controller} -f 0x81 --cdw11=1 -l 16", (r"b0 5c a7 ed .* 01\b",)),
)
REFUSED = (
    _refuses(0x1, "-v 8"),
    _refuses(0x2, "-v 1"),
    _refuses(0x5, "-n 1 -v 0x10000"),
    _value(0x7, 0x007F007F),
    _refuses(0x7, "-v 0x30003", "Command Sequence Error"),
    _refuses(0x6, "-v 1 -s", "Feature Identifier Not Saveable"),
    _refuses(0x6, "-v 1 -n 1", "Feature Not Namespace Specific"),
    _refuses(0xF, "-v 0", "Keep Alive Timeout Invalid"),
    _refuses(0xC0, "-v 1"),
    _refuses(0x81, "-v 1 -l 16 -d /dev/zero", "Command Sequence Error"),
    fails("nvme get-feature {controller} -f 0xc0", "Invalid Field"),
    fails("nvme get-feature {controller} -f 0x84 -n 1", "Invalid Field"),
    fails("nvme get-feature {controller} -f 0x5 -n 0x1000", "Invalid Namespace or Format"),
)
PROPERTIES = (
    Row("nvme get-property {controller} -o 0 -H", (r"\(CRWMS\): Supported", r"\(MQES\): 256")),
    Row("nvme get-property {controller} -o 8 -H", (r"specification 2\.0",)),
    Row("nvme get-property {controller} -o 0x14", (r"value: 460061",)),
    Row("nvme get-property {controller} -o 0x1c", (r"value: 1$",)),
    Row("nvme get-property {controller} -o 0x68", (r"value: f$",)),
    fails("nvme get-property {controller} -o 0x24", "Invalid Field"),
    Row("nvme set-property {controller} -o 0x14 -v 0x460061", ("Controller Configuration",)),
    fails("nvme set-property {controller} -o 0x1c -v 1", "Invalid Field"),
)
ROWS = (*NUMBERS, *TEMPERATURE, *STRUCTURES, *REFUSED, *PROPERTIES)
