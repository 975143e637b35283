"""Whether the peer's transport parameters are what they may be (RFC 9000 7.3, 7.4, 18.2; RFC 9368 4)."""

from __future__ import annotations

from collections.abc import Sequence

from stacks.quic.errors import QuicError, TransportErrorCode
from wire.errors import WireError
from wire.quic.parameters import TransportParameters


def read_parameters(data: bytes | memoryview) -> TransportParameters:
    """Decode; QuicError TRANSPORT_PARAMETER_ERROR where they cannot be, or one is there twice."""
    try:
        return TransportParameters.decode(data)
    except WireError as error:
        raise _wrong(f"transport parameters: {error}") from error


def check_parameters(
    parameters: TransportParameters,
    *,
    is_client: bool,
    original_destination_cid: bytes = b"",
    source_cid: bytes,
    retry_source_cid: bytes | None = None,
) -> None:
    """Judge the peer's parameters; QuicError TRANSPORT_PARAMETER_ERROR where they are not good.

    is_client: whether we are. original_destination_cid: of the client's very first packet, for a client. source_cid: of
    the peer's first Initial packet that was accepted. retry_source_cid: of the Retry packet, None where there was none.
    """
    _check_values(parameters)
    if parameters.initial_source_connection_id is None:
        raise _wrong("no initial_source_connection_id")
    if parameters.initial_source_connection_id != source_cid:
        raise _wrong("initial_source_connection_id is not the one in the packets")
    if is_client:
        _check_of_server(parameters, original_destination_cid, retry_source_cid)
    else:
        _check_of_client(parameters)


def check_versions_of_client(parameters: TransportParameters, *, version: int) -> None:
    """A server's check of version_information (RFC 9368 4). version: in the client's long headers.

    QuicError VERSION_NEGOTIATION_ERROR where the chosen version is another, TRANSPORT_PARAMETER_ERROR where it is not
    among the available ones. None is well: the client does not know the extension.
    """
    information = parameters.version_information
    if information is None:
        return
    if information.chosen not in information.available:
        raise _wrong("version_information: the chosen version is not among the available ones")
    if information.chosen != version:
        raise _downgrade(f"version_information says {information.chosen:#010x}, the packets {version:#010x}")


def check_versions_of_server(
    parameters: TransportParameters, *, version: int, supported: Sequence[int], had_version_negotiation: bool
) -> None:
    """A client's check (RFC 9368 4, 8). version: that the server's long headers have, thus the negotiated one.

    supported: our versions, the preferred first. had_version_negotiation: whether a Version Negotiation packet made us
    choose: then the server's list must lead to the same choice. Version 0 is refused by the codec already.
    """
    information = parameters.version_information
    if information is None:
        if had_version_negotiation and version != VERSION_1:
            raise _downgrade("no version_information after a Version Negotiation packet")
        # RFC 9368 8: version 1 without the extension counts as a server that has version 1 alone.
        _check_choice((VERSION_1,), version=version, supported=supported, is_needed=had_version_negotiation)
        return
    if information.chosen != version:
        raise _downgrade(f"version_information says {information.chosen:#010x}, the packets {version:#010x}")
    _check_choice(information.available, version=version, supported=supported, is_needed=had_version_negotiation)


def _check_values(parameters: TransportParameters) -> None:
    if parameters.max_udp_payload_size < 1200:
        raise _wrong(f"max_udp_payload_size {parameters.max_udp_payload_size} is below 1200")
    if parameters.ack_delay_exponent > 20:
        raise _wrong(f"ack_delay_exponent {parameters.ack_delay_exponent} is above 20")
    if parameters.max_ack_delay_ms >= 1 << 14:
        raise _wrong(f"max_ack_delay {parameters.max_ack_delay_ms} ms is not below 2^14")
    least_us = parameters.min_ack_delay_us
    if least_us is not None and least_us > parameters.max_ack_delay_ms * 1000:  # draft-ietf-quic-ack-frequency 3
        raise _wrong(f"min_ack_delay {least_us} us is above max_ack_delay {parameters.max_ack_delay_ms} ms")
    if parameters.active_connection_id_limit < 2:
        raise _wrong(f"active_connection_id_limit {parameters.active_connection_id_limit} is below 2")
    for name in ("initial_max_streams_bidi", "initial_max_streams_uni"):
        if getattr(parameters, name) > 1 << 60:
            raise _wrong(f"{name} is above 2^60")


def _check_of_server(
    parameters: TransportParameters, original_destination_cid: bytes, retry_source_cid: bytes | None
) -> None:
    if parameters.original_destination_connection_id is None:
        raise _wrong("no original_destination_connection_id")
    if parameters.original_destination_connection_id != original_destination_cid:
        raise _wrong("original_destination_connection_id is not the one of our first packet")
    if parameters.retry_source_connection_id != retry_source_cid:
        if retry_source_cid is None:
            raise _wrong("retry_source_connection_id without a Retry packet")
        raise _wrong("retry_source_connection_id is not the one of the Retry packet")
    preferred = parameters.preferred_address
    if preferred is not None and (not preferred.connection_id or not parameters.initial_source_connection_id):
        raise _wrong("preferred_address with a zero-length connection ID")


def _check_of_client(parameters: TransportParameters) -> None:
    for name in SERVER_ONLY:
        if getattr(parameters, name) is not None:
            raise _wrong(f"{name} from a client")


def _check_choice(available: Sequence[int], *, version: int, supported: Sequence[int], is_needed: bool) -> None:
    if not is_needed:
        return
    best = next((each for each in supported if each in available or each == version), None)
    if best != version or not available:
        raise _downgrade("the server's versions would have led to another choice: a forged Version Negotiation packet?")


def _wrong(reason: str) -> QuicError:
    return QuicError(TransportErrorCode.TRANSPORT_PARAMETER_ERROR, reason)


def _downgrade(reason: str) -> QuicError:
    return QuicError(TransportErrorCode.VERSION_NEGOTIATION_ERROR, reason)


EXTENSION_PARAMETERS = 0x39
VERSION_1 = 1
SERVER_ONLY = (
    "original_destination_connection_id",
    "preferred_address",
    "retry_source_connection_id",
    "stateless_reset_token",
)
