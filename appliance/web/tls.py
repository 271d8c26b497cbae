"""TLS for a local network: our own small authority, or certificate files.

`auto` makes a CA and a leaf once and keeps them in DIR/tls. The CA may only vouch for local names
and private networks (name constraints), so that a stolen CA key cannot impersonate the internet to
those who trust it. A reload never hurts the live context: files are tried in a scratch one first.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.errors import ConfigError, NotFound
from appliance.model.http import Lane, Request, Response, Route

__all__ = ["CA_PATH", "Tls"]

CA_PATH = "/appliance-ca.crt"

_DAY = datetime.timedelta(days=1)
_LEAF_LIFE = 397 * _DAY  # browsers refuse longer ones
_CA_LIFE = 3650 * _DAY
_RENEW = 30 * _DAY  # before the leaf ends
_LOCAL_NAMES = ("local", "localhost", "lan", "home.arpa", "internal", "home")
_LOCAL_NETWORKS = (
    *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
    *("::1/128", "fc00::/7", "fe80::/10"),
)


class Tls:
    """The live server context and where its certificate comes from.

    Args:
        cert, key: PEM files; the certificate file holds the chain.
        ca: the local authority's certificate, if it is ours.

    Raises:
        ConfigError: the files cannot be used.
    """

    def __init__(self, cert: Path, key: Path, ca: Path | None = None) -> None:
        self.cert = cert
        self._key = key
        self._ca = ca
        self.context = _context(cert, key)

    @classmethod
    def auto(cls, folder: Path, names: Sequence[str] = (), *, now: datetime.datetime | None = None) -> Tls:
        """A certificate for `names` (host names and addresses) from the local CA in `folder`.

        Both are made when missing; the leaf also when it lacks a name or ends within 30 days.
        """
        moment = now or datetime.datetime.now(datetime.UTC)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = _Authority(folder, moment)
        wanted = list(dict.fromkeys([*names, "localhost", "127.0.0.1", "::1"]))
        local = [name for name in wanted if _is_local(name)]
        cert, key = folder / "leaf.crt", folder / "leaf.key"
        if not _still_good(cert, local, moment):
            authority.issue(local, cert, key)
        return cls(cert, key, folder / "ca.crt")

    def reload(self) -> None:
        """Take new files into use for new connections; the old ones live on.

        Raises:
            ConfigError: the new files cannot be used; nothing has changed.
        """
        _context(self.cert, self._key)
        self.context.load_cert_chain(self.cert, self._key)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the local CA, to compare by eye; empty without one."""
        if self._ca is None:
            return ""
        digest = x509.load_pem_x509_certificate(self._ca.read_bytes()).fingerprint(hashes.SHA256())
        return digest.hex(":").upper()

    def routes(self) -> list[Route]:
        """The download of the local CA, for devices that shall trust us."""
        summary = "The local certificate authority, to install on devices that shall trust this appliance."
        return [Route("GET", CA_PATH, self._download, summary, lane=Lane.FAST, tags=("operations",))]

    def _download(self, _: Request) -> Response:
        if self._ca is None:
            raise NotFound("this appliance uses a certificate of its own, there is no local CA")
        disposition = ("content-disposition", 'attachment; filename="appliance-ca.crt"')
        return Response(200, self._ca.read_bytes(), "application/x-x509-ca-cert", (disposition,))


class _Authority:
    """The local CA: read from its folder, or made there."""

    def __init__(self, folder: Path, now: datetime.datetime) -> None:
        self._now = now
        cert, key = folder / "ca.crt", folder / "ca.key"
        if cert.exists() and key.exists():
            self.cert = x509.load_pem_x509_certificate(cert.read_bytes())
            self.key = serialization.load_pem_private_key(key.read_bytes(), None)
        else:
            self.key = ec.generate_private_key(ec.SECP256R1())
            self.cert = self._sign_itself()
            _write(key, _pem(self.key), 0o600)
            _write(cert, self.cert.public_bytes(serialization.Encoding.PEM), 0o644)

    def issue(self, names: Sequence[str], cert: Path, key: Path) -> None:
        """A leaf for `names`, written to the two files."""
        secret = ec.generate_private_key(ec.SECP256R1())
        leaf = (
            _builder(names[0], self.cert.subject, secret.public_key(), self._now, _LEAF_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(_public(self.key)), critical=False)
            .sign(_private(self.key), hashes.SHA256())
        )
        _write(key, _pem(secret), 0o600)
        _write(cert, leaf.public_bytes(serialization.Encoding.PEM), 0o644)

    def _sign_itself(self) -> x509.Certificate:
        networks = [x509.IPAddress(ipaddress.ip_network(network)) for network in _LOCAL_NETWORKS]
        names = [x509.DNSName(name) for name in _LOCAL_NAMES]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "appliance local CA")])
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        return (
            _builder("appliance local CA", subject, _public(self.key), self._now, _CA_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.NameConstraints([*names, *networks], None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(_public(self.key)), critical=False)
            .sign(_private(self.key), hashes.SHA256())
        )


def _context(cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])  # never h2: it would carry WebSockets past the front
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot use {cert.name} with {key.name}: {error}",
            hint="give a PEM certificate chain and its key",
            key="tls",
        ) from error
    return context


def _still_good(cert: Path, names: Sequence[str], now: datetime.datetime) -> bool:
    if not cert.exists():
        return False
    leaf = x509.load_pem_x509_certificate(cert.read_bytes())
    has = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return leaf.not_valid_after_utc - now > _RENEW and all(_general(name) in has for name in names)


def _is_local(name: str) -> bool:
    """Whether our CA may vouch for it."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.rpartition(".")[2] in _LOCAL_NAMES or name.endswith(".home.arpa")
    return any(address in ipaddress.ip_network(network) for network in _LOCAL_NETWORKS)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime, life: datetime.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)  # clocks in a house disagree
        .not_valid_after(now - _DAY + life)
    )


def _private(key: object) -> ec.EllipticCurvePrivateKey:
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError("the CA key is not one of ours", hint="remove the tls folder to begin anew", key="tls")
    return key


def _public(key: object) -> ec.EllipticCurvePublicKey:
    return _private(key).public_key()


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes, mode: int) -> None:
    """Replace a file whole; a key never exists with wider rights."""
    fresh = path.with_suffix(path.suffix + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
