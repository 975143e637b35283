"""Rules of draft-ietf-quic-qlog-main-schema-14: the file, traces, events, and what both documents use."""

from __future__ import annotations

from tests.stacks.quic.qlog.cddl import Rules

MAIN_RULES: Rules = {
    # 5, 5.2: QlogFileSeq, TraceSeq, with LogFile unwrapped
    "QlogFileSeq": {
        "file_schema": "'urn:ietf:params:qlog:file:sequential'",
        "serialization_format": "'application/qlog+json-seq'",
        "?title": "text",
        "?description": "text",
        "trace": "TraceSeq",
    },
    "TraceSeq": {
        "?title": "text",
        "?description": "text",
        "?common_fields": "CommonFields",
        "?vantage_point": "VantagePoint",
        "event_schemas": "[+ text]",
    },
    # 6
    "VantagePoint": {
        "?name": "text",
        "type": "'client' / 'server' / 'network' / 'unknown'",
        "?flow": "'client' / 'server' / 'unknown'",
    },
    # 7.1, 7.2, 7.3, 7.5: CommonFields is open, but everything here has a meaning
    "CommonFields": {
        "?tuple": "text",
        "?time_format": "'relative_to_epoch' / 'relative_to_previous_event'",
        "?reference_time": "ReferenceTime",
        "?group_id": "text",
    },
    "ReferenceTime": {"clock_type": "text", "epoch": "text", "?wall_clock_time": "text"},
    "SystemInformation": {"?processor_id": "uint32", "?process_id": "uint32", "?thread_id": "uint32"},
    # 9.2
    "SimulationScenario": {"?name": "text", "?details": "map"},
    "SimulationMarker": {"?type": "text", "?message": "text"},
    # 10
    "RawInfo": {"?length": "uint64", "?payload_length": "uint64", "?data": "hexstring"},
}
EVENT = {
    "time": "float64",
    "name": "text",
    "data": "map",
    "?tuple": "text",
    "?time_format": "'relative_to_epoch' / 'relative_to_previous_event'",
    "?group_id": "text",
    "?system_info": "SystemInformation",
}
"""7: open to any other field, of which ours have none."""
SIMULATION_EVENTS = {"simulation:scenario": "SimulationScenario", "simulation:marker": "SimulationMarker"}
