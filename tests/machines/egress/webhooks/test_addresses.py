"""Where webhooks go: the table, and that the judge never breaks."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.egress.webhooks.addresses import Guard, TargetRefused
from appliance.errors import ConfigError
from tests.machines.egress.webhooks import urls

ESCAPED = [url.encode().decode("unicode_escape") if "\\u" in url else url for url in urls.CLOSED]


def allowed(guard: Guard, url: str, addresses: tuple[str, ...] | None = None) -> bool:
    try:
        target = guard.target(url)
        if addresses is not None:
            guard.judge(target, addresses)
    except TargetRefused:
        return False
    return True


def test_the_table_has_three_hundred_rows_and_no_row_twice():
    rows = [
        *urls.OPEN,
        *urls.CLOSED,
        *urls.WITH_BLANKS,
        *(row[1:] for row in urls.LISTED),
        *(row[1:] for row in urls.RESOLVED),
    ]
    assert len(rows) >= 300
    assert len(set(rows)) >= len(rows) - 2


@pytest.mark.parametrize("url", urls.OPEN)
def test_the_internet_is_open(url: str):
    assert allowed(Guard(), url)


@pytest.mark.parametrize("url", [*ESCAPED, *urls.WITH_BLANKS])
def test_everything_else_is_refused(url: str):
    """test_webhook_ssrf_prevention_localhost, test_webhook_ssrf_prevention_private_ip (#44)"""
    assert not allowed(Guard(), url)


@pytest.mark.parametrize(("open_", "url"), urls.LISTED)
def test_the_operators_list_opens_what_it_names_and_no_more(open_: bool, url: str):
    assert allowed(Guard(urls.LIST), url) is open_


@pytest.mark.parametrize(("open_", "url", "addresses"), urls.RESOLVED)
def test_every_resolved_address_is_judged(open_: bool, url: str, addresses: tuple[str, ...]):
    assert allowed(Guard(urls.LIST), url, addresses) is open_


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://10.0.0.1:9/", "http://[fd00::1]/", "http://169.254.1.1/"])
def test_a_refusal_says_ssrf_and_prints_the_line_that_would_open_it(url: str):
    with pytest.raises(TargetRefused, match=r"private IP.*SSRF") as refused:
        Guard().target(url)
    assert refused.value.status == 400
    line = refused.value.hint.partition('["')[2].removesuffix('"]')
    assert allowed(Guard([line]), url)


def test_what_is_sent_to_is_what_was_judged():
    guard = Guard(["cam = 192.168.7.7"])
    target = guard.target("https://Hooks.Example.com:443/a?b=1#c")
    assert (target.host, target.port, target.path, target.authority) == (
        "hooks.example.com",
        443,
        "/a?b=1",
        "hooks.example.com",
    )
    assert guard.target("http://[2a00::1]:8080").authority == "[2a00::1]:8080"
    assert guard.target("http://cam/").address == ip_address("192.168.7.7")
    assert guard.judge(target, ["93.184.216.34", "1.1.1.1"]) == [ip_address("93.184.216.34"), ip_address("1.1.1.1")]


@pytest.mark.parametrize(
    "line", ["", "192.168.1.1/24", "a b", "nas = nobody", "1.2.3", "http://nas/", "nas:0", "*", "= 1.2.3.4"]
)
def test_a_line_that_is_none_of_the_forms_stops_the_start(line: str):
    with pytest.raises(ConfigError, match=r"webhooks\.allow"):
        Guard([line])


HOSTS = st.one_of(st.ip_addresses().map(str), st.text(max_size=20), st.text("0123456789.xabcdef:[]%@", max_size=20))


@given(
    st.one_of(
        st.text(max_size=80),
        st.builds("http://{}{}".format, HOSTS, st.sampled_from(["", "/", ":80/", ":/", "?x", "#y"])),
    )
)
def test_the_judge_never_breaks_and_never_opens_a_literal_that_is_not_public(url: str):
    try:
        target = Guard().target(url)
    except TargetRefused:
        return
    if target.address is not None:
        assert target.address.is_global
