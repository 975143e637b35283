"""What we use of aioquic, by name: a release that changes any of it fails here, and says what."""

from __future__ import annotations

import ast
import inspect
import random
from pathlib import Path

import pytest
from aioquic import buffer, tls

import stacks.quic.tls.context as seam

SIGNATURES = {
    "Context.__init__": "(self, is_client, alpn_protocols=None, cadata=None, cafile=None, capath=None, "
    "cipher_suites=None, logger=None, max_early_data=None, server_name=None, verify_mode=None)",
    "Context.handle_message": "(self, input_data, output_buf)",
    "KeySchedule.derive_secret": "(self, label)",
    "NewSessionTicket.__init__": "(self, ticket_lifetime=0, ticket_age_add=0, ticket_nonce=b'', ticket=b'', "
    "max_early_data_size=None, other_extensions=<factory>)",
    "SessionTicket.__init__": "(self, age_add, cipher_suite, not_valid_after, not_valid_before, resumption_secret, "
    "server_name, ticket, max_early_data_size=None, other_extensions=<factory>)",
    "hkdf_expand_label": "(algorithm, secret, label, hash_value, length)",
    "pull_client_hello": "(buf)",
    "pull_new_session_ticket": "(buf)",
    "push_new_session_ticket": "(buf, new_session_ticket)",
}
CONTEXT_ATTRIBUTES = [
    "_peer_certificate",
    "_peer_certificate_chain",
    "_supported_groups",
    "_x25519_private_key",
    "alpn_cb",
    "alpn_negotiated",
    "certificate",
    "certificate_chain",
    "certificate_private_key",
    "client_random",
    "early_data_accepted",
    "get_session_ticket_cb",
    "handshake_extensions",
    "key_schedule",
    "new_session_ticket_cb",
    "received_extensions",
    "session_resumed",
    "session_ticket",
    "state",
    "update_traffic_key_cb",
]
OTHER_ATTRIBUTES = {
    "KeySchedule": ["algorithm", "cipher_suite"],
    "ClientHello": ["legacy_session_id", "server_name", "psk_key_exchange_modes", "pre_shared_key", "other_extensions"],
    "NewSessionTicket": ["ticket_lifetime", "ticket_age_add", "ticket_nonce", "ticket", "max_early_data_size"],
    "OfferedPsks": ["identities"],
}
MEMBERS = {
    "CipherSuite": {"AES_128_GCM_SHA256": 0x1301, "AES_256_GCM_SHA384": 0x1302, "CHACHA20_POLY1305_SHA256": 0x1303},
    "Direction": {"DECRYPT": 0, "ENCRYPT": 1},
    "Epoch": {"INITIAL": 0, "ZERO_RTT": 1, "HANDSHAKE": 2, "ONE_RTT": 3},
    "Group": {"SECP256R1": 0x17, "X25519": 0x1D},
    "PskKeyExchangeMode": {"PSK_DHE_KE": 1},
    "AlertDescription": {"decode_error": 50},
}
STATES = ("CLIENT_POST_HANDSHAKE", "SERVER_POST_HANDSHAKE")
USED = {"Alert", "State", *(name.split(".")[0] for name in SIGNATURES), *MEMBERS, "KeySchedule"}


def _shape(function: object) -> str:
    signature = inspect.signature(function)  # type: ignore[arg-type]
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature_is_the_one_we_call(name: str) -> None:
    found: object = tls
    for part in name.split("."):
        found = getattr(found, part)
    assert _shape(found) == SIGNATURES[name]


@pytest.mark.parametrize("is_client", [True, False])
@pytest.mark.parametrize("name", CONTEXT_ATTRIBUTES)
def test_context_has_the_attribute(name: str, is_client: bool) -> None:
    assert hasattr(tls.Context(is_client), name)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in OTHER_ATTRIBUTES.items() for name in names])
def test_class_has_the_field(kind: str, name: str) -> None:
    made = tls.KeySchedule(tls.CipherSuite.AES_128_GCM_SHA256) if kind == "KeySchedule" else None
    fields = getattr(getattr(tls, kind), "__dataclass_fields__", {})
    assert name in fields or hasattr(made, name)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in MEMBERS.items() for name in names])
def test_member_has_its_value(kind: str, name: str) -> None:
    assert getattr(tls, kind)[name].value == MEMBERS[kind][name]


def test_states_at_the_end_keep_their_names() -> None:
    assert all(name in tls.State.__members__ for name in STATES)


def test_ticket_asks_itself_for_validity_and_age() -> None:
    for name in ("is_valid", "obfuscated_age"):
        assert isinstance(inspect.getattr_static(tls.SessionTicket, name), property)


def test_alerts_carry_their_description() -> None:
    assert tls.AlertNoApplicationProtocol("x").description == 120
    assert issubclass(tls.AlertNoApplicationProtocol, tls.Alert)


def test_buffer_is_fixed_and_its_read_error_known() -> None:
    made = buffer.Buffer(capacity=4)
    made.push_bytes(b"abcd")
    assert made.data == b"abcd"
    with pytest.raises(buffer.BufferReadError):
        buffer.Buffer(data=b"a").pull_uint16()


def test_this_list_names_all_that_the_seam_uses() -> None:
    """The seam takes nothing from `tls` that is not listed above."""
    tree = ast.parse(Path(inspect.getfile(seam)).read_text())
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "tls"
    }
    assert used <= USED
    assert {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_context(node.value)} <= {
        *CONTEXT_ATTRIBUTES,
        "handle_message",
        "server_random",
    }


def test_no_other_module_of_the_stack_knows_aioquic_tls() -> None:
    folder = Path(inspect.getfile(seam)).parent.parent
    users = [
        path.name
        for path in folder.rglob("*.py")
        if "aioquic.tls" in path.read_text() or "aioquic import tls" in path.read_text()
    ]
    assert users == ["context.py"]


def _is_context(node: ast.AST) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == "_context") or (
        isinstance(node, ast.Name) and node.id == "context"
    )


class _Recorder:
    """A pair of bare contexts of the library, and the order in which it calls back and sets what we overwrite."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def run(self) -> None:
        rng = random.Random(1)
        server = tls.Context(False, alpn_protocols=["h3"])
        server.alpn_cb = lambda _: self.events.append(f"alpn, server random set: {hasattr(server, 'server_random')}")
        server.get_session_ticket_cb = lambda _: None
        server.update_traffic_key_cb = lambda way, epoch, _suite, _secret: self.events.append(
            f"{way.name} {epoch.name}"
        )
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        from stacks.quic.tls import load_identity
        from tests.stacks.quic.tls.rig import certificate

        identity = load_identity(*certificate())
        assert isinstance(identity.private_key, Ed25519PrivateKey)
        server.certificate, server.certificate_private_key = identity.certificate, identity.private_key
        client = tls.Context(True, alpn_protocols=["h3"], verify_mode=0)
        client.client_random = rng.randbytes(32)
        buffers = {epoch: buffer.Buffer(capacity=4096) for epoch in tls.Epoch}
        client.handle_message(b"", buffers)
        hello = buffers[tls.Epoch.INITIAL].data
        assert hello[6:38] == client.client_random
        server.handle_message(hello, {epoch: buffer.Buffer(capacity=4096) for epoch in tls.Epoch})


def test_callbacks_come_in_the_order_on_which_the_seam_relies() -> None:
    recorder = _Recorder()
    recorder.run()
    assert recorder.events == [
        "alpn, server random set: True",
        "ENCRYPT HANDSHAKE",
        "DECRYPT HANDSHAKE",
        "ENCRYPT ONE_RTT",
    ]
