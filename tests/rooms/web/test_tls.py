"""The local authority and its certificates."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
from pathlib import Path

import pytest
import trio
import trustme
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from appliance.errors import ConfigError, NotFound
from appliance.model.http import Request, Response
from appliance.web.tls import CA_PATH, Tls
from tests.rooms.web.house import Peer, a_house, get

NOW = datetime.datetime.now(datetime.UTC)


def leaf(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "leaf.crt").read_bytes())


def shake_hands(server: ssl.SSLContext, ca: Path, name: str) -> bytes | None:
    """The certificate a client of `name` that trusts only `ca` gets."""
    client = ssl.create_default_context(cafile=ca)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock, contextlib.suppress(OSError):
                server.wrap_socket(sock, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname()) as tcp,
                client.wrap_socket(tcp, server_hostname=name) as tls,
            ):
                return tls.getpeercert(True)
        finally:
            thread.join()


def test_files_are_made_once_with_keys_only_the_owner_reads(tmp_path: Path):
    folder = tmp_path / "tls"

    first = Tls.auto(folder, ["kitchen.local"])
    names = {path.name: path.read_bytes() for path in folder.iterdir()}
    second = Tls.auto(folder, ["kitchen.local"])

    assert set(names) == {"ca.crt", "ca.key", "leaf.crt", "leaf.key"}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == names
    assert [(folder / key).stat().st_mode & 0o777 for key in ("ca.key", "leaf.key")] == [0o600, 0o600]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert first.fingerprint == second.fingerprint
    assert len(first.fingerprint.split(":")) == 32


def test_leaf_is_for_local_names_and_addresses_and_lives_397_days(tmp_path: Path):
    Tls.auto(tmp_path, ["kitchen.local", "192.168.1.7", "example.com", "8.8.8.8"])

    names = leaf(tmp_path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    life = leaf(tmp_path).not_valid_after_utc - leaf(tmp_path).not_valid_before_utc

    assert names.get_values_for_type(x509.DNSName) == ["kitchen.local", "localhost"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["192.168.1.7", "127.0.0.1", "::1"]
    assert life == datetime.timedelta(days=397)


def test_leaf_is_renewed_for_a_new_name_and_before_it_ends(tmp_path: Path):
    Tls.auto(tmp_path, ["a.local"])
    serials = [leaf(tmp_path).serial_number]
    for names, now in (
        (["a.local"], NOW),
        (["a.local", "b.local"], NOW),
        (["a.local"], NOW + datetime.timedelta(days=370)),
    ):
        Tls.auto(tmp_path, names, now=now)
        serials.append(leaf(tmp_path).serial_number)

    assert serials[0] == serials[1] != serials[2] != serials[3]


def test_client_that_trusts_the_ca_connects_by_name_and_address(tmp_path: Path):
    tls = Tls.auto(tmp_path, ["kitchen.local"])

    got = [shake_hands(tls.context, tmp_path / "ca.crt", name) for name in ("kitchen.local", "127.0.0.1", "::1")]

    assert all(got)


def test_stolen_ca_key_cannot_speak_for_the_internet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("appliance.web.tls._is_local", lambda _: True)
    tls = Tls.auto(tmp_path, ["bank.example.com"])

    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        shake_hands(tls.context, tmp_path / "ca.crt", "bank.example.com")


def test_ca_says_what_it_may_vouch_for(tmp_path: Path):
    Tls.auto(tmp_path)
    ca = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())

    limits = ca.extensions.get_extension_for_oid(ExtensionOID.NAME_CONSTRAINTS)

    assert limits.critical
    assert x509.DNSName("local") in limits.value.permitted_subtrees


def test_reload_takes_new_files_for_new_connections(tmp_path: Path):
    tls = Tls.auto(tmp_path, ["a.local"])
    before = shake_hands(tls.context, tmp_path / "ca.crt", "a.local")
    (tmp_path / "leaf.crt").unlink()
    Tls.auto(tmp_path, ["a.local"])

    tls.reload()

    assert shake_hands(tls.context, tmp_path / "ca.crt", "a.local") != before


@pytest.mark.parametrize("broken", ["leaf.crt", "leaf.key"])
def test_reload_of_a_bad_file_changes_nothing(tmp_path: Path, broken: str):
    tls = Tls.auto(tmp_path, ["a.local"])
    before = shake_hands(tls.context, tmp_path / "ca.crt", "a.local")
    (tmp_path / broken).write_text("nonsense")

    with pytest.raises(ConfigError) as error:
        tls.reload()

    assert error.value.facts["key"] == "tls"
    assert shake_hands(tls.context, tmp_path / "ca.crt", "a.local") == before


def test_missing_files_and_foreign_ca_keys_are_config_errors(tmp_path: Path):
    with pytest.raises(ConfigError):
        Tls(tmp_path / "no.crt", tmp_path / "no.key")
    Tls.auto(tmp_path)
    other = trustme.CA(key_type=trustme.KeyType.RSA)
    (tmp_path / "ca.key").write_bytes(other.private_key_pem.bytes())
    (tmp_path / "leaf.crt").unlink()

    with pytest.raises(ConfigError, match="not one of ours"):
        Tls.auto(tmp_path)


async def test_own_certificate_files_serve_and_offer_no_ca(tmp_path: Path):
    made = trustme.CA().issue_cert("a.test")
    made.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    made.private_key_pem.write_to_path(tmp_path / "key.pem")
    tls = Tls(tmp_path / "cert.pem", tmp_path / "key.pem")

    with pytest.raises(NotFound):
        tls.routes()[0].handler(Request("GET", CA_PATH))

    assert tls.fingerprint == ""


async def test_ca_is_a_download_over_the_connection_it_will_secure(tmp_path: Path):
    tls = Tls.auto(tmp_path)
    trusting = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    async with a_house(lambda _: tls.routes(), tls=tls.context) as house:
        tcp = await trio.open_tcp_stream("127.0.0.1", house.front.port)
        peer = Peer(trio.SSLStream(tcp, trusting, server_hostname="127.0.0.1", https_compatible=True))
        house.peers.append(peer)

        reply = await peer.ask(get(CA_PATH))

        assert reply.headers["content-type"] == "application/x-x509-ca-cert"
        assert reply.body == (tmp_path / "ca.crt").read_bytes()
        assert isinstance(tls.routes()[0].handler(Request("GET", CA_PATH)), Response)


async def test_h2_is_never_agreed_on(tmp_path: Path):
    tls = Tls.auto(tmp_path)
    client = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    client.set_alpn_protocols(["h2", "http/1.1"])
    async with a_house(tls=tls.context) as house:
        tcp = await trio.open_tcp_stream("127.0.0.1", house.front.port)
        stream = trio.SSLStream(tcp, client, server_hostname="127.0.0.1", https_compatible=True)
        house.peers.append(Peer(stream))
        await stream.do_handshake()

        assert stream.selected_alpn_protocol() == "http/1.1"
