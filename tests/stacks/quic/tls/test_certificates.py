"""Which certificates a client believes, and what it says of the others."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stacks.quic.errors import QuicError
from stacks.quic.tls import load_identity, make_self_signed
from stacks.quic.tls.verification import TrustStore
from stacks.runtime.errors import LocalError
from tests.stacks.quic.tls.rig import NAME, SECOND, UNIX_NS, certificate, client_settings, ends, server_settings

DAY = 86_400 * SECOND
NOW = datetime.fromtimestamp(UNIX_NS // SECOND, UTC)


class Authority:
    """Makes certificates that lead to one root."""

    def __init__(self, name: str = "root") -> None:
        self.key = ed25519.Ed25519PrivateKey.generate()
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._build(self.name, self.key.public_key(), is_authority=True)
        self.pem = self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, *, usage: object = None
    ) -> tuple[bytes, bytes]:
        leaf = self._build(x509.Name([]), key.public_key(), is_authority=False, usage=usage)
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return leaf.public_bytes(Encoding.PEM), secret

    def sub(self) -> Authority:
        lower = Authority("intermediate")
        lower.certificate = self._build(lower.name, lower.key.public_key(), is_authority=True)
        lower.pem = lower.certificate.public_bytes(Encoding.PEM)
        return lower

    def _build(self, subject: x509.Name, key: object, *, is_authority: bool, usage: object = None) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=1))
            .not_valid_after(NOW + timedelta(days=90))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if not is_authority:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)  # type: ignore[list-item]
        return builder.sign(self.key, None)


def _alert(**client: object) -> tuple[int, str]:
    with pytest.raises(QuicError) as caught:
        ends(client=client_settings(**client)).run()
    return caught.value.code - 0x100, str(caught.value)


def test_unknown_authority_is_alert_48() -> None:
    assert _alert(trusted_certificates=Authority().pem)[0] == 48


def test_public_roots_do_not_know_a_self_signed_one() -> None:
    assert _alert(trusted_certificates=None)[0] == 48


def test_unverified_client_takes_anything() -> None:
    assert ends(client=client_settings(trusted_certificates=None, is_verifying=False)).run().client.is_complete


def test_name_of_another_server_is_refused_and_the_right_ones_told() -> None:
    alert, reason = _alert(server_name="other.test")
    assert alert == 42
    assert "not for other.test but for server.test, 192.0.2.7" in reason


def test_address_in_the_certificate_is_a_name_too() -> None:
    assert ends(client=client_settings(server_name="192.0.2.7")).run().client.is_complete
    assert _alert(server_name="192.0.2.8")[0] == 42


def test_address_is_not_sent_as_server_name() -> None:
    """RFC 6066 3: literal addresses are not permitted in SNI."""
    assert ends(client=client_settings(server_name="192.0.2.7")).run().server.server_name == ""


@pytest.mark.parametrize(("now_ns", "word"), [(-3 * DAY, "only from"), (400 * DAY, "expired")])
def test_dates_are_judged_by_the_given_time(now_ns: int, word: str) -> None:
    alert, reason = _alert(unix_epoch_ns=UNIX_NS + now_ns)
    assert alert == 45
    assert word in reason


def test_dates_are_judged_when_the_certificate_comes_and_not_at_the_start() -> None:
    with pytest.raises(QuicError, match="expired"):
        ends().run(now=400 * DAY)


@pytest.mark.parametrize("kind", ["rsa", "p256", "p384", "ed25519"])
def test_each_kind_of_key_leads_over_an_intermediate_one_to_its_root(kind: str) -> None:
    key = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }[kind]()
    root = Authority()
    lower = root.sub()
    leaf, secret = lower.issue(key)  # type: ignore[arg-type]
    server = server_settings(certificate_chain=leaf + lower.pem, private_key=secret)
    assert ends(client=client_settings(trusted_certificates=root.pem), server=server).run().client.is_complete
    broken = server_settings(certificate_chain=leaf, private_key=secret)
    with pytest.raises(QuicError, match="not trusted"):
        ends(client=client_settings(trusted_certificates=root.pem), server=broken).run()


def test_leaf_in_the_store_is_trusted_without_its_issuer() -> None:
    leaf, secret = Authority().issue(ed25519.Ed25519PrivateKey.generate())
    server = server_settings(certificate_chain=leaf, private_key=secret)
    assert ends(client=client_settings(trusted_certificates=leaf), server=server).run().client.is_complete


def test_certificate_for_clients_only_is_alert_43() -> None:
    root = Authority()
    leaf, secret = root.issue(ed25519.Ed25519PrivateKey.generate(), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    with pytest.raises(QuicError, match="purposes") as caught:
        ends(
            client=client_settings(trusted_certificates=root.pem),
            server=server_settings(certificate_chain=leaf, private_key=secret),
        ).run()
    assert caught.value.code == 0x100 + 43


def test_self_signed_is_the_same_for_a_seed_and_a_time() -> None:
    first = make_self_signed(["a.test"], random.Random(9), unix_ns=UNIX_NS)
    assert first == make_self_signed(["a.test"], random.Random(9), unix_ns=UNIX_NS)
    assert first != make_self_signed(["a.test"], random.Random(10), unix_ns=UNIX_NS)
    identity = load_identity(*first)
    assert isinstance(identity.private_key, ed25519.Ed25519PrivateKey)


@pytest.mark.parametrize("unix_ns", [0, UNIX_NS])
def test_self_signed_holds_at_its_time_even_in_1970(unix_ns: int) -> None:
    pem, _ = make_self_signed([NAME], random.Random(9), unix_ns=unix_ns)
    TrustStore(pem).verify([x509.load_pem_x509_certificate(pem)], NAME, unix_ns=unix_ns)


def _key(*, password: bytes = b"", curve: ec.EllipticCurve | None = None) -> bytes:
    key = ec.generate_private_key(curve or ec.SECP256R1())
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def test_foreign_encrypted_and_unusable_keys_are_refused_in_words() -> None:
    chain, _ = certificate()
    with pytest.raises(LocalError, match="does not belong"):
        load_identity(chain, _key())
    with pytest.raises(LocalError, match="password"):
        load_identity(chain, _key(password=b"x"))
    with pytest.raises(LocalError, match="secp521r1 is not a curve"):
        load_identity(chain, _key(curve=ec.SECP521R1()))
