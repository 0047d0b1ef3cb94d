"""A certificate authority of the emulator's own, and the key pair of a first user: all that TLS and JWT want."""

import base64
import hashlib
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from thirdrail.errors import MissingLibrary
from thirdrail.sinks.snowflake.account import INSTALL

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError as error:
    raise MissingLibrary("the emulator needs cryptography, which is not installed", hint=INSTALL) from error

CA, SERVER, USER_KEY = "ca.pem", "server.pem", "rsa_key.p8"
_YEARS = timedelta(days=3650)


def prepared(folder: Path) -> ssl.SSLContext:
    """Give the server's side of TLS; authority, certificate and the user's key are made once, and stay."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / SERVER).exists():
        _make(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / SERVER)
    return context


def fingerprint(key_file: Path) -> str:
    """Give the fingerprint of a private key's public half, as Snowflake shows it: ``SHA256:<base64>``."""
    return _fingerprint(_public(_ours(key_file)))


def is_signed(message: bytes, signature: bytes, key_file: Path) -> bool:
    """Whether a message was signed (RS256) with the key in a file."""
    try:
        _ours(key_file).public_key().verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _ours(key_file: Path) -> rsa.RSAPrivateKey:
    """Give the user's key. That its primes are primes takes a fifth of a second to find out anew, at each request."""
    key = serialization.load_pem_private_key(key_file.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey)  # noqa: S101 - we made it
    return key


def _public(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _fingerprint(public: bytes) -> str:
    return f"SHA256:{base64.b64encode(hashlib.sha256(public).digest()).decode()}"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: str, issuer: str, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _YEARS)
    )


def _make(folder: Path) -> None:
    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = "Third Rail emulator"
    ca = (
        _builder(issuer, issuer, authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(authority, hashes.SHA256())
    )
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    leaf = (
        _builder("127.0.0.1", issuer, server.public_key())
        .add_extension(x509.SubjectAlternativeName([loopback, x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / CA).write_bytes(ca.public_bytes(pem))
    _put_private(folder / USER_KEY, _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
    _put_private(folder / SERVER, _pem(server) + leaf.public_bytes(pem))


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _put_private(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)
