"""Addresses for people and phones."""

from __future__ import annotations

import pytest

from appliance.web.reach import lan_addresses, on_loopback, reachable, shareable


def test_addresses_are_such_that_people_can_type_them():
    everywhere = reachable(["http://0.0.0.0:80", "http://[::]:80"], ["192.168.1.5", "fd00::2"])

    assert everywhere == ("http://127.0.0.1:80", "http://192.168.1.5:80", "http://[fd00::2]:80")
    assert reachable(["http://127.0.0.1:80", "http://[::1]:80"], ["192.168.1.5"]) == ("http://127.0.0.1:80",)
    assert reachable(["https://192.168.1.5:80"], []) == ("https://192.168.1.5:80",)


@pytest.mark.parametrize(
    ("urls", "lan", "handed_on"),
    [
        (["http://0.0.0.0:80", "http://[::]:80"], ["192.168.1.5", "fd00::2"], "http://192.168.1.5:80"),
        (["http://0.0.0.0:80"], [], "http://127.0.0.1:80"),
        (["http://127.0.0.1:80", "http://[::1]:80"], ["192.168.1.5"], "http://127.0.0.1:80"),
        (["http://127.0.0.1:80", "https://192.168.1.7:81"], [], "https://192.168.1.7:81"),
        (["http://[fd00::2]:80"], [], "http://[fd00::2]:80"),
    ],
)
def test_the_address_to_hand_on_is_one_of_the_network_if_we_listen_there(urls, lan, handed_on):
    assert shareable(urls, lan) == handed_on


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("[::1]", True), ("localhost", True), ("192.168.1.5", False), ("kitchen.local", False)],
)
def test_what_leads_others_to_themselves_is_known(host, local):
    assert on_loopback(f"http://{host}:80/welcome#code=x") is local


def test_this_machine_names_addresses_of_its_own_and_never_all_of_them():
    assert not {"0.0.0.0", "::"} & set(lan_addresses())
