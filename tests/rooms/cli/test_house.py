import re
import subprocess
import sys
from pathlib import Path

import pytest
import segno

from appliance import __version__
from appliance.cli import serve
from appliance.cli.banner import Welcome, banner, qr
from appliance.cli.bench import quantile
from appliance.cli.cheat import RECIPES
from appliance.cli.install_service import Program, service_text, socket_text
from appliance.cli.main import overview, root
from appliance.cli.render import Paint
from appliance.cli.status import overview as status_overview
from appliance.cli.verbs import VERBS
from appliance.clock import parse_stamp

UNITS = Path(__file__).parents[3] / "systemd"


def test_help_fits_one_screen_and_names_every_verb(call):
    said = call("--help")

    assert said.out == overview() + "\n" or said.out == overview()
    assert len(said.out.splitlines()) <= 24
    assert max(map(len, said.out.splitlines())) <= 80
    assert all(re.search(rf"\b{verb.name}\b", said.out) for verb in VERBS)


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_every_verb_has_help_with_examples_and_the_global_options(call, verb):
    said = call(verb, "--help")

    assert said.code == 0
    assert said.out.startswith(f"appliance {verb}")
    assert f"  appliance {verb}" in said.out or "Examples:" in said.out
    assert "Show this message" not in said.out


def test_every_leaf_documents_its_json_unless_it_has_none():
    import click

    def leaves(name, command):
        if isinstance(command, click.Group):
            for inner in command.commands.values():
                yield from leaves(f"{name} {inner.name}", inner)
        else:
            yield name, command

    context = click.Context(root)
    found = [leaf for verb in VERBS for leaf in leaves(verb.name, root.get_command(context, verb.name))]

    assert {name for name, command in found if not command.fields} == {"serve", "completion"}


def test_global_options_work_before_and_after_the_verb(store, call):
    from tests.rooms.client.tiny_store import TOKEN

    before = call("--json", "--url", store.url, "--token", TOKEN, "stream", "version", "a")
    after = call("stream", "version", "a", "--url", store.url, "--token", TOKEN, "--json")

    assert before == after
    assert before.json == {"stream": "a", "version": None}


@pytest.mark.parametrize(
    ("argv", "first", "hint"),
    [
        (["pubilsh"], 'error: appliance has no verb "pubilsh"', 'did you mean "publish"?'),
        (["stream", "raed"], 'error: appliance stream has no verb "raed"', 'did you mean "read"?'),
        (["xyz"], 'error: appliance has no verb "xyz"', "see: appliance --help"),
        (["publish", "--strem", "x"], "error: appliance publish has no option --strem", "did you mean --stream?"),
        (["publish", "--zzzzzz"], "error: appliance publish has no option --zzzzzz", "see: appliance publish --help"),
        (["publish"], "error: missing argument 'TYPE'", "see: appliance publish --help"),
        (["subscribe", "--count", "0"], "error: invalid value for '--count': 0 is no", "see: appliance subscribe"),
    ],
)
def test_a_wrong_command_line_is_explained_with_exit_code_2(call, argv, first, hint):
    said = call(*argv)

    lines = said.err.splitlines()
    assert said.code == 2
    assert lines[0].startswith(first)
    assert lines[1].strip().startswith(hint)
    assert lines[2].strip() == "details: appliance error usage"


def test_a_noun_alone_shows_its_verbs(call):
    said = call("stream")

    assert said.code == 2
    assert "appliance stream VERB" in said.err


def test_nothing_runs_here_is_said_with_exit_code_3(call, alone):
    for verb in (["status"], ["stop"], ["publish", "x"], ["bench"]):
        said = call(*verb)

        assert said.code == 3, verb
        assert said.err.startswith(f"error: no appliance runs on the data in {alone}/data\n")


def test_an_address_where_nobody_answers_is_said_with_exit_code_3(call):
    said = call("publish", "x", "--url", "http://127.0.0.1:1", "--token", "t")

    assert (said.code, said.err.splitlines()[0]) == (
        3,
        "error: nothing answers at http://127.0.0.1:1 (Connection refused)",
    )


def test_a_local_server_is_found_by_its_run_files(call, store, alone):
    run_folder = alone / "elsewhere" / "run"
    run_folder.mkdir(parents=True)
    (run_folder / "address").write_text(store.url + "\n")
    (run_folder / "owner.token").write_text("ns_owner\n")

    call("stream", "version", "a", "--data", "elsewhere")
    call("stream", "version", "a", "--data", "elsewhere", "--token", "ns_mine")
    call("stream", "version", "a", "--data", "elsewhere", "--url", store.url + "/")

    tokens = [headers["authorization"] for _, _, headers, _ in store.requests]
    assert tokens == ["Bearer ns_owner", "Bearer ns_mine", "Bearer ns_owner"]


def test_the_environment_names_a_server_too(call, store, monkeypatch):
    monkeypatch.setenv("APPLIANCE_URL", store.url)

    call("stream", "version", "a")

    assert [target for _, target, _, _ in store.requests] == ["/rpc"]
    assert "authorization" not in store.requests[0][2]


def test_error_explains_our_codes_and_those_of_the_message_store(call):
    assert call("error", "version_conflict").out.startswith("version_conflict  HTTP 409, exit code 7, STREAM_VERSION")
    assert call("error", "NAMESPACE_EXISTS", "--json").json["code"] == "duplicate"
    assert len(call("error", "--json").json) == len(call("error").out.splitlines()) - 1
    said = call("error", "version_conflit")
    assert (said.code, said.err.splitlines()[1].strip()) == (5, "did you mean version_conflict?")


def test_version_tells_more_when_asked(call):
    assert call("version", "--json").json["server"] == "not running"
    assert call("version", "--full").out.startswith(f"version  {__version__}\n")


def test_every_recipe_is_of_a_verb_there_is(call):
    assert RECIPES.keys() <= {verb.name for verb in VERBS}
    assert call("cheat", "token").out.startswith("# for a program that only reads\nappliance token create")
    assert call("cheat", "nothing").code == 5
    assert call("cheat", "--json").json.keys() == RECIPES.keys()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(call, shell):
    assert "_APPLIANCE_COMPLETE" in call("completion", shell).out


def test_completion_answers_the_shell():
    done = subprocess.run(
        [sys.executable, "-m", "appliance"],
        env={"_APPLIANCE_COMPLETE": "bash_complete", "COMP_WORDS": "appliance stre", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.stdout.split() == ["plain,stream"]


def test_config_shows_origins_and_explains(call, alone):
    (alone / "appliance.toml").write_text('name = "kitchen"\n[log]\nretention = "30d"\n')

    assert call("config", "show").out.splitlines()[0].split() == [
        *("name", "=", '"kitchen"'),
        *("#", "appliance.toml,", "line", "1"),
    ]
    assert len(call("config", "show", "--all", "--json").json) > 20
    explained = call("config", "explain", "log.retention").out
    assert explained.startswith('log.retention = "30d"\n')
    assert "from appliance.toml, line 3; a reload applies it" in explained
    assert call("config", "explain", "lgo").code == 5
    assert "[log]" in call("config", "default").out


def test_a_wrong_configuration_is_told_with_file_line_and_exit_code_2(call, alone):
    (alone / "appliance.toml").write_text('name = "kitchen"\n\nwebhoks = 3\n')

    said = call("config", "show")

    assert said.code == 2
    assert said.err.startswith('error: unknown key "webhoks" in appliance.toml, line 3\n')


def test_a_new_plugin_passes_its_check(call, alone):
    made, other = call("plugin", "new", "greeter", "--json"), call("plugin", "new", "other", "--folder", "elsewhere")
    (alone / "appliance.toml").write_text('plugins_path = ["mine"]\n')
    third = call("plugin", "new", "third", "--folder", "elsewhere")
    good, none = call("plugin", "check", "greeter"), call("plugin", "check", "nothing")
    (alone / "greeter" / "plugin.py").write_text("import nothing_at_all\n")
    bad = call("plugin", "check", "greeter", "--json")

    assert (made.json["folder"], good.code, good.out) == ("greeter", 0, "1 checked, all would start\n")
    assert f'plugins_path = ["{alone / "elsewhere"}"]\n          [plugins.other]\n' in other.err
    assert f'plugins_path = ["{alone / "mine"}", "{alone / "elsewhere"}"]\n' in third.err
    assert (none.code, bad.code, bad.json["ok"]) == (5, 4, False)
    assert bad.json["findings"][0]["about"] == "import"


def test_bundled_plugins_are_listed(call):
    said = call("plugin", "list", "--json")

    assert {plugin["name"]: plugin["bundled"] for plugin in said.json["plugins"]}["host"] is True
    assert "bundled" in call("plugin", "list").out


def test_check_looks_at_everything(call, alone):
    said = call("check", "--json", "--data", "fresh")

    assert [one["name"] for one in said.json["checks"]] == [
        *("config", "plugins", "port", "disk", "clock", "permissions", "data")
    ]
    assert {one["state"] for one in said.json["checks"]} <= {"ok", "warning"}
    assert not (alone / "fresh").exists()


def test_check_says_what_is_wrong_and_what_to_do(call, alone):
    call("token", "create", "--scope", "read", "--data", "mine")
    (alone / "mine" / "run" / "owner.token").chmod(0o644)

    said = call("check", "--quiet", "--deep", "--data", "mine", "--no-color")

    assert said.code == 1
    assert said.out.splitlines()[0].startswith("✗ permissions  others can read")
    assert said.out.splitlines()[1].strip().startswith("chmod 600")


def test_check_ends_at_a_wrong_configuration(call, alone):
    (alone / "appliance.toml").write_text("webhoks = 3\n")

    said = call("check")

    assert (said.code, said.out.startswith("✗ config")) == (2, True)


def test_tokens_are_kept_without_a_server(call):
    made = call("token", "create", "--scope", "read,write", "--name", "phone", "--expires", "30d", "--json")
    listed = call("token", "list", "--json").json["tokens"]
    gone = call("token", "revoke", made.json["id"][-6:])

    assert made.json["token"].startswith("ns_ZGVmYXVsdA_")
    assert [row["name"] for row in listed if row["scopes"] == ["read", "write"]] == ["phone"]
    assert gone.out == f"token {made.json['id']} is revoked\n"
    assert call("token", "list").out.splitlines()[-1].endswith("revoked")
    assert call("token", "revoke", "nothing").code == 5
    assert call("token", "revoke", "").code == 4
    assert call("token", "create", "--scope", "fly").code == 4
    assert call("token", "create", "--scope", "read", "--expires", "soon").code == 4


def test_the_units_start_this_very_program(call, alone):
    (alone / "c.toml").write_text("")

    said = call("install-service", "--json", "--data", "mine", "--config", "c.toml")

    assert f"ExecStart={sys.executable} -I -m appliance serve --data" in said.json["service"]
    assert call("install-service", "--unit", "socket").out == (UNITS / "appliance.socket").read_text() + "\n"


def test_a_unit_keeps_its_hardening_and_gets_our_paths():
    template = (UNITS / "appliance.service").read_text()

    one_file = service_text(template, Program("/usr/bin/python3", Path("/opt/a/appliance.pyz")), "", "/srv/data")
    package = service_text(template, Program("/opt/venv/bin/python"), "/etc/appliance.toml", "")

    assert "ExecStart=/usr/bin/python3 -I /opt/a/appliance.pyz serve --data /srv/data\n" in one_file
    assert "Environment=SHIV_ROOT=/opt/a\n" in one_file
    assert "ReadWritePaths=/srv/data\n" in one_file
    assert "-I -m appliance serve --data ${STATE_DIRECTORY} --config /etc/appliance.toml\n" in package
    assert "SHIV_ROOT=" not in package
    hardening = [line for line in template.splitlines() if re.match(r"(Protect|Restrict|Private|SystemCall)", line)]
    assert all(line in one_file and line in package for line in hardening)


@pytest.mark.parametrize(
    ("listen", "stream"),
    [("loopback:9000", "127.0.0.1:9000"), ("lan:8420", "8420"), ("192.168.1.5:80", "192.168.1.5:80")],
)
def test_the_socket_listens_where_the_configuration_says(listen, stream):
    text = socket_text((UNITS / "appliance.socket").read_text(), listen)

    assert f"\nListenStream={stream}\n" in text


def test_the_banner_has_link_addresses_data_and_warnings():
    welcome = Welcome(
        "kitchen",
        "1.0",
        ("http://127.0.0.1:80", "http://192.168.1.5:80"),
        "./data",
        events=1,
        link="http://192.168.1.5:80/welcome#code=1",
        token="ns_t",
        ca="http://192.168.1.5:80/ca",
        warnings=("careful",),
    )

    text = banner(welcome, Paint())

    for part in ("kitchen", "Open     http://192.168.1.5:80/welcome", "Network", "./data, 1 event", "ns_t", "Trust"):
        assert part in text
    assert text.endswith("warning: careful\n")
    assert qr(welcome.link) in text
    assert "▀" not in banner(welcome, Paint(), code=False)


@pytest.mark.parametrize(
    ("started_as", "data", "shown"),
    [
        ("/somewhere/appliance/__main__.py", "data", "python3 -m appliance"),
        ("tool.pyz", "data", "python3 ./tool.pyz"),
        ("bin/appliance", "data", "./bin/appliance"),
        ("bin/appliance", "demo", "./bin/appliance --data ./demo"),
    ],
)
def test_what_is_shown_to_try_can_be_typed_here(started_as, data, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [started_as, "serve"])
    (tmp_path / "tool.pyz").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/appliance").touch(mode=0o755)

    assert serve._invoked(tmp_path / data) == shown


def test_the_qr_code_holds_the_link():
    rows = qr("http://192.168.1.5:8420").splitlines()
    modules = segno.make("http://192.168.1.5:8420", micro=False, error="l").symbol_size(border=2)[0]

    assert {len(row) for row in rows} == {modules}


def test_quantiles_are_values_that_were_measured():
    assert [quantile([3, 1, 2, 4], share) for share in (0.0, 0.5, 0.95)] == [1, 3, 4]
    assert quantile([], 0.5) == 0.0


def test_status_is_a_tree_with_crashes():
    from datetime import UTC, datetime

    stamp = "2026-01-01T00:00:00.000000Z"
    now = datetime.fromtimestamp(parse_stamp(stamp) / 1e6 + 120, UTC)
    sample = {"name": "sample", "state": "parked", "since": stamp, "restarts": 3}
    sample |= {"crash": "KeyError: 'x'", "crashed": stamp}
    answer = {
        "name": "kitchen",
        "version": "1.0",
        "state": "degraded",
        "pid": 7,
        "uptime_s": 7200.0,
        "urls": ["http://127.0.0.1:1"],
        "data": "/d",
        "test_mode": True,
        "counts": {"connections": 2},
        "storage": {"kind": "sqlite", "events": 1, "verified": 1, "lost": 2, "notes": ["a torn tail"]},
        "tree": [
            {"name": "log", "state": "ready", "since": stamp, "restarts": 0, "waiting": "a disk"},
            {
                "name": "plugins",
                "state": "ready",
                "since": stamp,
                "restarts": 0,
                "children": [sample | {"crashed": stamp}],
            },
        ],
    }

    lines = status_overview(answer, Paint(), now).splitlines()

    assert lines[0] == "● kitchen  degraded  up 2 h  appliance 1.0, process 7"
    assert "  2 acknowledged events lost" in lines
    assert "  note: a torn tail" in lines
    assert lines[-4:] == [
        "  ├ log                 2 m     –         ready  a disk",
        "  └ plugins             2 m     –         ready",
        "    └ sample            2 m     3         parked",
        "        last crash 2 m ago: KeyError: 'x'",
    ]
