"""From layers to settings: who wins, what is refused and with which words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.addresses import Address, address
from appliance.config.explain import default_file, difference, explain, reference_rows
from appliance.config.load import Layer, load, the_file
from appliance.config.schema import ANY, ROOM_BESIDE, Secret, Settings, all_keys
from appliance.config.values import shown
from appliance.errors import ConfigError, NotFound


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Loads a text as `appliance.toml` of the working directory."""
    monkeypatch.chdir(tmp_path)

    def from_text(text: str, environ=None, **flags):
        Path("appliance.toml").write_text(text, encoding="utf-8")
        return load(Path("appliance.toml"), environ=environ or {}, flags=flags)

    return from_text


def refusal(read, *args, **kwargs) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        read(*args, **kwargs)
    return caught.value.message, caught.value.hint


# Reading


def test_without_any_source_everything_is_at_its_default():
    loaded = load(None, environ={"HOME": "/"}, flags={"listen": None})

    assert loaded.settings == Settings()
    assert not loaded.origins


def test_a_file_is_read_into_held_units(written, tmp_path):
    loaded = written(
        """
        name = "kitchen"
        listen = ["loopback:8420", "192.168.1.5:80"]
        data = "here"
        plugins_path = ["mine"]
        [log]
        retention = "30d"
        max_event = "1MiB"
        [log.categories.telemetry]
        retention = "2d"
        [log.categories.audit]
        retention = "off"
        [clients]
        limit = 5
        heartbeat = "1m"
        [limits]
        head = "64KiB"
        body_rate = 1000
        [backup]
        every = "off"
        """
    )

    settings = loaded.settings
    assert (settings.name, settings.listen) == ("kitchen", ("loopback:8420", "192.168.1.5:80"))
    assert (settings.data, settings.plugins_path) == (tmp_path / "here", (tmp_path / "mine",))
    assert (settings.log.retention, settings.log.max_event) == (30 * 86_400.0, 2**20)
    assert {name: one.retention for name, one in settings.log.categories.items()} == {
        "telemetry": 172_800.0,
        "audit": None,
    }
    assert (settings.clients.limit, settings.clients.heartbeat, settings.clients.ring) == (5, 60.0, 4096)
    assert (settings.limits.head, settings.limits.body_rate, settings.limits.fields) == (65_536, 1000.0, 100)
    assert settings.backup.every is None


def test_one_listen_address_may_stand_alone(written):
    assert written('listen = "lan:1"').settings.listen == ("lan:1",)


def test_tls_is_a_word_or_two_files(written, tmp_path):
    auto = written('tls = "auto"').settings.tls
    files = written('[tls]\ncert = "c.pem"\nkey = "k.pem"').settings.tls
    switched_off = written('[tls]\ncert = "c.pem"\nkey = "k.pem"', {"APPLIANCE_TLS": "off"}).settings.tls

    assert (auto.mode, auto.cert) == ("auto", None)
    assert (files.mode, files.cert, files.key) == ("files", tmp_path / "c.pem", tmp_path / "k.pem")
    assert switched_off.mode == "off"


def test_tables_of_plugins_come_raw_with_their_lines(written):
    loaded = written("[plugins.notes]\nmax_chars = 5\n[plugins.notes.deep]\nx = 1\n[plugins.orders]\nenabled = false\n")

    source = loaded.plugin_source("notes")
    assert loaded.settings.plugins == {"notes": {"max_chars": 5, "deep": {"x": 1}}, "orders": {"enabled": False}}
    assert [source.line(keys) for keys in ((), ("max_chars",), ("deep", "x"), ("deep", "none"))] == [1, 2, 4, 3]
    assert (source.file, source.prefix) == ("appliance.toml", "plugins.notes")
    assert load(None, environ={}, flags={}).plugin_source("notes").line(("x",)) is None


def test_the_limits_of_the_front_come_from_three_tables():
    settings = load(
        None,
        environ={},
        flags={"clients.limit": 7, "clients.per_address": 3, "log.max_event": "1MiB", "limits.head": "1KiB"},
    ).settings

    limits = settings.front_limits

    assert (limits.clients, limits.per_address, limits.event, limits.head) == (7 + ROOM_BESIDE, 3, 2**20, 1024)


# Who wins


def test_each_layer_overrides_the_one_before(written):
    text, environ = 'data = "file"', {"APPLIANCE_DATA": "env"}
    eventodb = {**environ, "EVENTODB_DATA_DIR": "eventodb"}

    won = [written(text), written(text, environ), written(text, eventodb), written(text, eventodb, data="flag")]

    assert [one.settings.data.name for one in won] == ["file", "env", "eventodb", "flag"]
    assert [one.origin(("data",)).layer for one in won] == list(Layer)[1:]
    assert [str(one.origin(("data",))) for one in won] == [
        "appliance.toml, line 1",
        "environment variable APPLIANCE_DATA",
        "environment variable EVENTODB_DATA_DIR",
        "--data",
    ]


def test_the_environment_speaks_in_words():
    environ = {
        "APPLIANCE_CLIENTS__LIMIT": "7",
        "APPLIANCE_CLIENTS__HEARTBEAT": "5s",
        "APPLIANCE_LISTEN": "loopback:1, lan:2",
        "APPLIANCE_LOG__CATEGORIES__TELEMETRY__RETENTION": "1d",
        "APPLIANCE_LIMITS__BODY_RATE": "50",
        "APPLIANCE_TELEMETRY__LOG": "json",
        "APPLIANCE_TLS": "auto",
        "APPLIANCE_URL": "http://not-a-key",
        "APPLIANCE_CONFIG": "not-a-key",
        "UNRELATED": "1",
    }

    settings = load(None, environ=environ, flags={}).settings

    assert (settings.clients.limit, settings.clients.heartbeat) == (7, 5.0)
    assert settings.listen == ("loopback:1", "lan:2")
    assert settings.log.categories["telemetry"].retention == 86_400.0
    assert (settings.limits.body_rate, settings.telemetry.log, settings.tls.mode) == (50.0, "json", "auto")


def test_plugins_take_single_keys_from_the_environment(written):
    environ = {
        "APPLIANCE_PLUGINS__NOTES__MAX_CHARS": "9",
        "APPLIANCE_PLUGINS__NOTES__TITLE": "nine lives",
        "APPLIANCE_PLUGINS__ORDERS__ENABLED": "false",
    }

    plugins = written("[plugins.notes]\nmax_chars = 5\nother = 1\n", environ).settings.plugins

    assert plugins == {"notes": {"max_chars": 9, "other": 1, "title": "nine lives"}, "orders": {"enabled": False}}


def test_the_message_store_names_mean_our_keys():
    environ = {
        "EVENTODB_PORT": "0",
        "EVENTODB_DB_URL": "sqlite://x.db",
        "EVENTODB_DATA_DIR": "/srv/data",
        "EVENTODB_TOKEN": "ns_x",
        "EVENTODB_TEST_MODE": "t",
        "EVENTODB_LOG_LEVEL": "warn",
        "EVENTODB_LOG_FORMAT": "console",
    }

    settings = load(None, environ=environ, flags={}).settings

    assert (settings.port, settings.db_url, settings.data, settings.test_mode) == (
        0,
        "sqlite://x.db",
        Path("/srv/data"),
        True,
    )
    assert (settings.token, settings.telemetry.level, settings.telemetry.log) == (Secret("ns_x"), "warning", "text")


def test_names_known_from_elsewhere_mean_our_keys():
    environ = {
        "WS_MAX_CONNECTIONS": "250",
        "WS_PING_SECS": "10",
        "WS_DEAD_SECS": "30",
        "ALLOWED_ORIGINS": "https://a.example,https://b.example",
        "SSE_COALESCE_WINDOW_MS": "250",
        "QUEUE_STATUS_SECS": "2",
        "JOB_MAX_CONCURRENT": "7",
        "JOB_STALE_REAP_INTERVAL_SECS": "15",
    }

    settings = load(None, environ=environ, flags={}).settings

    clients = settings.clients
    assert (clients.limit, clients.heartbeat, clients.dead_after) == (250, 10.0, 30.0)
    assert clients.origins == ("https://a.example", "https://b.example")
    assert (settings.events.coalesce, settings.events.queue_status) == (0.25, 2.0)
    assert (settings.jobs.concurrency, settings.jobs.sweep) == (7, 15.0)


def test_rules_of_channels_have_names_of_their_own(tmp_path: Path):
    file = tmp_path / "appliance.toml"
    file.write_text('[broadcast.rules."private-*"]\nread = ["mcp", "screen"]\nwrite = ["admin"]\n')

    rules = load(file, environ={}, flags={}).settings.broadcast.rules

    assert {name: (rule.read, rule.write) for name, rule in rules.items()} == {
        "private-*": (("mcp", "screen"), ("admin",))
    }


@pytest.mark.parametrize(("text", "seconds"), [("10", 10.0), ("500ms", 0.5)])
def test_names_known_from_elsewhere_mean_our_keys_of_webhooks(text, seconds):
    environ = {"MATRIC_WEBHOOK_TIMEOUT_SECS": text, "WEBHOOK_ALLOW_HOSTS": "127.0.0.1:3000,192.168.1.0/24"}

    webhooks = load(None, environ=environ, flags={}).settings.webhooks
    ours = load(None, environ=environ | {"APPLIANCE_WEBHOOKS__TIMEOUT": "7s"}, flags={}).settings.webhooks

    assert (webhooks.timeout, webhooks.allow) == (seconds, ("127.0.0.1:3000", "192.168.1.0/24"))
    assert ours.timeout == 7.0


@pytest.mark.parametrize(("text", "value"), [("1", True), ("TRUE", True), ("yes", True), ("0", False), ("f", False)])
def test_yes_and_no_have_several_words(text, value):
    assert load(None, environ={"EVENTODB_TEST_MODE": text}, flags={}).settings.test_mode is value


def test_a_listen_address_said_later_than_a_port_keeps_its_own():
    environ = {"APPLIANCE_PORT": "9000"}

    port_only = load(None, environ=environ, flags={}).settings
    overridden = load(None, environ=environ, flags={"listen": "lan:80"}).settings
    together = load(None, environ={}, flags={"listen": "lan:80", "port": 1}).settings

    assert (port_only.port, overridden.port, together.port) == (9000, None, 1)


def test_a_port_said_when_starting_replaces_that_of_every_address():
    assert Settings(listen=("loopback:1", "[::1]:2")).addresses == ("loopback:1", "[::1]:2")
    assert Settings(listen=("loopback:1", "[::1]:2"), port=0).addresses == ("loopback:0", "[::1]:0")


def test_the_file_is_the_one_named_or_that_of_the_environment_or_the_one_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nothing = the_file(None, {})
    Path("appliance.toml").touch()

    found = [the_file("a.toml", {"APPLIANCE_CONFIG": "b.toml"}), the_file(None, {"APPLIANCE_CONFIG": "b.toml"})]

    assert (nothing, found) == (None, [Path("a.toml"), Path("b.toml")])
    assert the_file(None, {}) == Path("appliance.toml")


def test_test_mode_is_throwaway_only_without_a_place_of_its_own():
    modes = [{}, {"test_mode": True}, {"test_mode": True, "data": "x"}, {"test_mode": True, "db_url": "sqlite://x.db"}]

    found = [load(None, environ={}, flags=flags).throwaway for flags in modes]

    assert found == [False, True, False, False]


# Secrets


def test_a_secret_comes_from_the_environment_or_a_file_and_shows_nowhere(written, tmp_path):
    Path(tmp_path, "token.txt").write_text("from-file\n")

    by_env = written('token = { env = "TOKEN" }', {"TOKEN": "from-env"})
    by_file = written('token = { file = "token.txt" }')

    assert by_env.settings.token == Secret("from-env")
    assert by_file.settings.token == Secret("from-file")
    assert "from-" not in repr(by_env) + repr(explain(by_env))
    assert explain(by_env, "token")[0].value == "(secret)"
    assert by_env.settings.token is not None
    assert by_env.settings.token.reveal() == "from-env"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_credentials_of_the_service_manager_come_first(written, tmp_path):
    Path(tmp_path, "credentials").mkdir()
    Path(tmp_path, "credentials", "token").write_text("handed over")
    Path(tmp_path, "token").write_text("beside the file")

    loaded = written('token = { file = "token" }', {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")})

    assert loaded.settings.token == Secret("handed over")


def test_secrets_of_plugins_are_opened_for_them_and_hidden_in_explanations(written):
    loaded = written('[plugins.slack]\nhook = { env = "HOOK" }\nroom = "#a"\n', {"HOOK": "https://x"})

    rows = {row.key: row.value for row in explain(loaded, "plugins.slack")}

    assert loaded.settings.plugins["slack"] == {"hook": "https://x", "room": "#a"}
    assert rows == {"plugins.slack.hook": "(secret)", "plugins.slack.room": '"#a"'}


# What is refused


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('zapkram = "x"', 'unknown key "zapkram" in appliance.toml, line 1', "known here"),
        ("[clients]\n\nlimits = 5", 'unknown key "limits" in appliance.toml, line 3', 'did you mean "limit"?'),
        ("[clint]\nlimit = 5", 'unknown key "clint" in appliance.toml, line 1', 'did you mean "clients"?'),
        ("[log.categories.x]\nretentoin = 1", 'unknown key "retentoin" in appliance.toml, line 2', 'mean "retention"?'),
        (
            "[log.categories]\nx = 1",
            '"log.categories.x" is a table and not a value in appliance.toml, line 2',
            "write [",
        ),
        ("log = 5", '"log" is a table and not a value in appliance.toml, line 1', "write [log]"),
        ("plugins = 5", '"plugins" is a table and not a value in appliance.toml, line 1', "write [plugins]"),
        (
            "[log]\nmax_event = 5",
            'log.max_event: a text is needed, like "16MiB", not 5, in appliance.toml, line 2',
            "largest",
        ),
        ("[log]\nmax_event = '5'", 'log.max_event: "5" is no size', "largest"),
        ("[log]\nmax_event = '5B'", 'log.max_event: "5B" is too little; at least "1KiB", in', "largest"),
        (
            "[clients]\nlimit = 0",
            "clients.limit: 0 is too little; at least 1, in appliance.toml, line 2",
            "event streams",
        ),
        ("[clients]\nlimit = true", "clients.limit: a whole number is needed, not true", "event streams"),
        ("[clients]\nlimit = '7'", 'clients.limit: a whole number is needed, not "7"', "event streams"),
        ("[clients]\nheartbeat = 'soon'", 'clients.heartbeat: "soon" is no duration', "pinged"),
        ("[clients]\nheartbeat = { a = 1 }", 'clients.heartbeat: a text is needed, like "30s", not a table', "pinged"),
        ("[limits]\nbody_rate = 'x'", 'limits.body_rate: a number is needed, not "x"', "fast"),
        ("name = 5", "name: a text is needed, not 5, in appliance.toml, line 1", "calls itself"),
        ("listen = 'here'", 'listen: "here" is no listen address; write "loopback:8420"', "loopback"),
        ("listen = 5", "listen: a text or a list of texts is needed, not 5", "loopback"),
        ("listen = []", "listen: a text or a list of texts is needed, not []", "loopback"),
        ("listen = 'kitchen:80'", 'listen: "kitchen" is no address of this machine', "loopback"),
        ("listen = ':80'", 'listen: ":80" is no listen address', "loopback"),
        ("listen = 'lan:٣'", 'listen: "lan:٣" is no listen address', "loopback"),
        ("listen = ['lan:1', 'lan:65536']", 'listen: "lan:65536" is no listen address', "loopback"),
        ("tls = 'maybe'", 'tls.mode: "maybe" is none of "off", "auto", "files", in appliance.toml, line 1', "files"),
        ("[tls]\ncert = 'c'", "tls.cert needs tls.key beside it, in appliance.toml, line 2", ""),
        ("[tls]\nkey = 'c'", "tls.key needs tls.cert beside it, in appliance.toml, line 2", ""),
        ("tls = 'files'", 'tls "files" needs tls.cert and tls.key, in appliance.toml, line 1', ""),
        ("token = 'plain'", 'token: a secret is needed: { env = "NAME" } or { file = "name" }, in', "default"),
        ("token = { env = 'NOT_SET' }", "token: environment variable NOT_SET is not set, in", "default"),
        (
            "token = { file = 'none' }",
            "cannot be read: No such file or directory, in appliance.toml, line 1",
            "default",
        ),
        ("token = { file = '.' }", "cannot be read: Is a directory, in appliance.toml, line 1", "default"),
        ("port = 1", '"port" is said when starting, not in appliance.toml, line 1', "give it as --port"),
        ("test_mode = true", '"test_mode" is said when starting, not in', "give it as --test-mode"),
        ("[backup]\nevery = '1s'", 'backup.every: "1s" is too little; at least "1m"', "time between"),
        ("name = ", "Invalid value in appliance.toml, line 1", "double quotes"),
        ("a = 1\na = 2", "Cannot overwrite a value in appliance.toml, line 2", "double quotes"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line_and_what_would_fit(written, text, message, hint):
    said, advised = refusal(written, text)

    assert message in said
    assert hint in advised


def test_facts_for_machines_are_beside_the_words(written):
    with pytest.raises(ConfigError) as caught:
        written("\n[clients]\nlimits = 5")

    assert caught.value.facts == {"file": "appliance.toml", "line": 3, "key": "clients.limits"}


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"APPLIANCE_CLIENTS__LIMITS": "5"}, 'unknown key "limits" in environment variable APPLIANCE_CLIENTS__LIMITS'),
        ({"APPLIANCE_NONSENSE": "5"}, 'unknown key "nonsense" in environment variable APPLIANCE_NONSENSE'),
        ({"APPLIANCE_PLUGINS__A__B__C": "5"}, 'unknown key "b" in environment variable APPLIANCE_PLUGINS__A__B__C'),
        ({"APPLIANCE_CLIENTS": "5"}, '"clients" is a table and not a value in environment variable APPLIANCE_CLIENTS'),
        ({"APPLIANCE_PORT": "70000"}, "port: 70000 is too much; at most 65535, in environment variable APPLIANCE_PORT"),
        (
            {"EVENTODB_PORT": "http"},
            'port: a whole number is needed, not "http", in environment variable EVENTODB_PORT',
        ),
        ({"EVENTODB_TEST_MODE": "maybe"}, 'test_mode: true or false is needed, not "maybe", in environment'),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(environ, message):
    said, _ = refusal(load, None, environ=environ, flags={})

    assert message in said


@pytest.mark.parametrize("url", ["postgres://x/y", "sqlite://", "sqlite:///etc/x.db", "sqlite://../x.db", "x.db"])
def test_a_database_url_that_names_no_file_in_the_data_folder_is_refused(url):
    said, hint = refusal(load, None, environ={"EVENTODB_DB_URL": url}, flags={})

    assert said == f'db_url "{url}" names no file in the data folder, in environment variable EVENTODB_DB_URL'
    assert hint == "write sqlite://NAME.db; the folder itself is --data"


def test_a_wrong_flag_is_named_as_it_was_typed():
    said, _ = refusal(load, None, environ={}, flags={"telemetry.level": "loud"})

    assert said == 'telemetry.level: "loud" is none of "debug", "info", "warning", "error", in --log-level'


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    Path(tmp_path, "binary.toml").write_bytes(b"\xff")

    missing, _ = refusal(load, tmp_path / "none.toml", environ={}, flags={})
    binary, _ = refusal(load, tmp_path / "binary.toml", environ={}, flags={})

    assert missing == f"{tmp_path}/none.toml cannot be read: No such file or directory"
    assert binary == f"{tmp_path}/binary.toml is not UTF-8"


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_a_clear_refusal(tmp_path_factory, text):
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text(text, encoding="utf-8", errors="replace")
    try:
        outcome = load(file, environ={}, flags={}).settings is not None
    except ConfigError as error:
        outcome = str(file) in error.message
    assert outcome


@given(
    st.dictionaries(st.sampled_from([key.dotted for key in all_keys().values()]), st.integers() | st.text() | st.none())
)
def test_any_flags_are_a_configuration_or_a_clear_refusal(flags):
    try:
        outcome = load(None, environ={}, flags=flags).settings is not None
    except ConfigError as error:
        outcome = " in --" in error.message
    assert outcome


# Explaining


def test_every_key_has_a_meaning_and_a_default_of_its_own_kind():
    for key in all_keys().values():
        assert key.doc.meaning
        assert shown(key, key.default)


def test_an_explanation_says_value_origin_meaning_and_whether_a_reload_applies_it(written):
    loaded = written("[clients]\nlimit = 5\n", {"APPLIANCE_TELEMETRY__LEVEL": "debug"}, data="d")

    rows = {row.key: row for row in explain(loaded)}

    assert (rows["clients.limit"].value, rows["clients.limit"].origin) == ("5", "appliance.toml, line 2")
    assert (rows["clients.ring"].value, rows["clients.ring"].origin) == ("4096", "default")
    assert rows["telemetry.level"].reloadable
    assert not rows["clients.limit"].reloadable
    assert rows["telemetry.level"].origin == "environment variable APPLIANCE_TELEMETRY__LEVEL"
    assert rows["data"].origin == "--data"
    assert (rows["clients.heartbeat"].default, rows["log.max_event"].default) == ('"30s"', '"16MiB"')


def test_one_key_or_one_table_is_explained(written):
    loaded = written('[log.categories.order]\nretention = "1d"\n')

    assert [row.key for row in explain(loaded, "log.max_event")] == ["log.max_event"]
    assert [row.key for row in explain(loaded, "log")] == [
        "log.retention",
        "log.max_event",
        "log.categories.order.retention",
    ]
    with pytest.raises(NotFound) as caught:
        explain(loaded, "log.max_evnt")
    assert caught.value.hint == 'did you mean "log.max_event"?'


def test_the_default_file_uncommented_is_the_default_configuration(written):
    ours = re.sub(r"^#\[.*NAME\]\n(?:.+\n)*", "", default_file(), flags=re.MULTILINE)  # without the user's own names
    lines = [line for line in ours.splitlines() if not re.match("#(token|data|cert|key)", line)]
    text = "\n".join(re.sub(r"^#(?=\S)", "", line) for line in lines)

    as_printed, uncommented = written(default_file()), written(text)

    assert as_printed.settings == Settings()
    assert uncommented.settings == Settings()
    assert {key.path for key in all_keys().values() if not key.doc.start and ANY not in key.path} <= (
        set(uncommented.values) | {("token",), ("data",), ("tls", "cert"), ("tls", "key")}
    )


def test_the_reference_has_a_row_per_key():
    rows = {row[0]: row for row in reference_rows()}

    assert len(rows) == len(all_keys())
    assert rows["log.categories.NAME.retention"][3] == "live"
    assert rows["port"][3] == "flag"
    assert rows["clients.ring"][1:] == ("4096", all_keys()[("clients", "ring")].doc.meaning, "restart")


def test_a_difference_is_split_by_what_a_reload_applies(written):
    old = written(
        'name = "a"\n[telemetry]\nlevel = "info"\n[plugins.notes]\nx = 1\n[log.categories.a]\nretention = "1d"\n'
    )
    new = written(
        'name = "b"\n[telemetry]\nlevel = "debug"\n[plugins.notes]\nx = 2\n[log.categories.b]\nretention = "1d"\n'
    )

    found = difference(old, new)

    assert [".".join(path) for path in found.live] == [
        "log.categories.a.retention",
        "log.categories.b.retention",
        "telemetry.level",
    ]
    assert found.restart == (("name",), ("plugins", "notes", "x"))


def test_saying_the_default_out_loud_is_no_difference(written):
    found = difference(written(""), written('[telemetry]\nlevel = "info"\n'))

    assert (found.live, found.restart) == ((), ())


def test_reading_again_sees_what_the_file_says_now(written):
    loaded = written('name = "a"', {"APPLIANCE_CLIENTS__LIMIT": "3"}, data="d")
    Path("appliance.toml").write_text('name = "b"')

    again = loaded.again()

    assert (again.settings.name, again.settings.clients.limit, again.settings.data) == ("b", 3, loaded.settings.data)


def test_an_unnamed_appliance_is_called_as_its_host():
    assert Settings(name="kitchen").shown_name == "kitchen"
    assert Settings().shown_name


# Addresses


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("loopback:8420", "127.0.0.1", 8420),
        ("localhost:0", "127.0.0.1", 0),
        ("lan:80", "0.0.0.0", 80),
        ("192.168.1.5:65535", "192.168.1.5", 65535),
        ("[::1]:80", "::1", 80),
        ("[::]:80", "::", 80),
    ],
)
def test_addresses_are_read(text, host, port):
    assert address(text) == Address(host, port)


@pytest.mark.parametrize(
    "text", ["", "80", ":80", "lan", "lan:", "lan:65536", "lan:-1", "::1:80", "1.2.3:80", "a b:80", "lan:٣"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="write"):
        address(text)


def test_an_address_of_every_interface_says_so():
    assert [address(text).everywhere for text in ("lan:1", "[::]:1", "loopback:1")] == [True, True, False]
