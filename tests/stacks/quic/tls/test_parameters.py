"""The peer's transport parameters, judged (RFC 9000 7.3, 7.4, 18.2; RFC 9368 4)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stacks.quic.configuration import VERSION_1, VERSION_2
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.tls import check_parameters, check_versions_of_client, check_versions_of_server
from wire.quic.parameters import PreferredAddress, TransportParameters, VersionInformation

WRONG = TransportErrorCode.TRANSPORT_PARAMETER_ERROR
DOWNGRADE = TransportErrorCode.VERSION_NEGOTIATION_ERROR
OF_CLIENT = TransportParameters(initial_source_connection_id=b"client")
OF_SERVER = TransportParameters(initial_source_connection_id=b"server", original_destination_connection_id=b"original")
PREFERRED = PreferredAddress(ipv4=None, ipv6=None, connection_id=b"", stateless_reset_token=bytes(16))


def _check_server(parameters: TransportParameters, *, retry: bytes | None = None) -> None:
    check_parameters(
        parameters, is_client=True, original_destination_cid=b"original", source_cid=b"server", retry_source_cid=retry
    )


def _check_client(parameters: TransportParameters) -> None:
    check_parameters(parameters, is_client=False, source_cid=b"client")


def test_good_ones_pass() -> None:
    _check_client(OF_CLIENT)
    _check_server(OF_SERVER)
    _check_server(replace(OF_SERVER, retry_source_connection_id=b"retry"), retry=b"retry")
    check_parameters(replace(OF_CLIENT, initial_source_connection_id=b""), is_client=False, source_cid=b"")


@pytest.mark.parametrize(
    "changes",
    [
        {"initial_source_connection_id": None},
        {"initial_source_connection_id": b"other"},
        {"original_destination_connection_id": None},
        {"original_destination_connection_id": b"other"},
        {"retry_source_connection_id": b"retry"},
        {"preferred_address": PREFERRED},
    ],
)
def test_server_whose_connection_ids_are_wrong(changes: dict[str, object]) -> None:
    with pytest.raises(QuicError) as caught:
        _check_server(replace(OF_SERVER, **changes))  # type: ignore[arg-type]
    assert caught.value.code == WRONG


@pytest.mark.parametrize("said", [None, b"other"])
def test_retry_that_the_server_does_not_own_up_to(said: bytes | None) -> None:
    with pytest.raises(QuicError, match="retry_source") as caught:
        _check_server(replace(OF_SERVER, retry_source_connection_id=said), retry=b"retry")
    assert caught.value.code == WRONG


def test_server_with_an_empty_connection_id_has_no_preferred_address() -> None:
    """RFC 9000 18.2."""
    empty = replace(
        OF_SERVER, initial_source_connection_id=b"", preferred_address=replace(PREFERRED, connection_id=b"new")
    )
    with pytest.raises(QuicError, match="preferred_address"):
        check_parameters(empty, is_client=True, original_destination_cid=b"original", source_cid=b"")


@pytest.mark.parametrize(
    "changes",
    [
        {"initial_source_connection_id": None},
        {"initial_source_connection_id": b"other"},
        {"original_destination_connection_id": b"x"},
        {"retry_source_connection_id": b"x"},
        {"stateless_reset_token": bytes(16)},
        {"preferred_address": replace(PREFERRED, connection_id=b"new")},
        {"max_udp_payload_size": 1199},
        {"ack_delay_exponent": 21},
        {"max_ack_delay_ms": 1 << 14},
        {"active_connection_id_limit": 1},
        {"initial_max_streams_bidi": (1 << 60) + 1},
        {"initial_max_streams_uni": (1 << 60) + 1},
    ],
)
def test_client_with_wrong_or_foreign_ones(changes: dict[str, object]) -> None:
    with pytest.raises(QuicError) as caught:
        _check_client(replace(OF_CLIENT, **changes))  # type: ignore[arg-type]
    assert caught.value.code == WRONG


@pytest.mark.parametrize(
    "changes",
    [
        {"max_udp_payload_size": 1200},
        {"ack_delay_exponent": 20},
        {"max_ack_delay_ms": (1 << 14) - 1},
        {"active_connection_id_limit": 2},
        {"initial_max_streams_bidi": 1 << 60},
    ],
)
def test_edges_are_inside(changes: dict[str, object]) -> None:
    _check_client(replace(OF_CLIENT, **changes))  # type: ignore[arg-type]


def _versions(chosen: int, *available: int) -> TransportParameters:
    return replace(OF_CLIENT, version_information=VersionInformation(chosen=chosen, available=available))


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        (OF_CLIENT, None),
        (_versions(1, 1), None),
        (_versions(1, VERSION_2, 1), None),
        (_versions(VERSION_2, VERSION_2), DOWNGRADE),
        (_versions(1, VERSION_2), WRONG),
    ],
)
def test_versions_of_a_client_in_version_one(parameters: TransportParameters, code: int | None) -> None:
    if code is None:
        check_versions_of_client(parameters, version=VERSION_1)
        return
    with pytest.raises(QuicError) as caught:
        check_versions_of_client(parameters, version=VERSION_1)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("parameters", "version", "had_negotiation", "code"),
    [
        (OF_SERVER, VERSION_1, False, None),
        (OF_SERVER, VERSION_2, False, None),
        (OF_SERVER, VERSION_2, True, DOWNGRADE),  # the structure must be there after Version Negotiation
        (OF_SERVER, VERSION_1, True, None),  # except in version 1 alone: RFC 9368 8
        (_versions(VERSION_2, VERSION_2, 1), VERSION_2, True, None),
        (_versions(1, VERSION_2, 1), VERSION_1, True, DOWNGRADE),  # forged: we would have taken version 2
        (_versions(1, VERSION_2, 1), VERSION_1, False, None),  # without Version Negotiation the choice was not forced
        (_versions(1, 1), VERSION_1, True, None),
        (_versions(1), VERSION_1, True, DOWNGRADE),
        (_versions(1, 1), VERSION_2, False, DOWNGRADE),
    ],
)
def test_versions_of_a_server(
    parameters: TransportParameters, version: int, had_negotiation: bool, code: int | None
) -> None:
    def check() -> None:
        check_versions_of_server(
            parameters, version=version, supported=(VERSION_2, VERSION_1), had_version_negotiation=had_negotiation
        )

    if code is None:
        check()
        return
    with pytest.raises(QuicError) as caught:
        check()
    assert caught.value.code == code
