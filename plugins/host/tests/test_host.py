"""The host plugin: parsers on captured text, the service in the harness, and once on this machine."""

from __future__ import annotations

import json
import shutil
from importlib import import_module
from pathlib import Path

import pytest

from appliance.api import Unavailable
from appliance.testing import ConfigError, harness, load

FOLDER = Path(__file__).parents[1]
CAPTURED = FOLDER / "tests" / "captured"

plugin = load(FOLDER)
host = import_module("appliance_plugins.host")
readings = import_module("appliance_plugins.host.readings")

DOCKER_LAPTOP = """\
Inter-|   Receive              |  Transmit
 face |bytes    packets …       |bytes    packets …
    lo:  500      29    0    0    0     0          0         0     500      29    0    0    0     0       0          0
wlp2s0:1000       3    0    0    0     0          0         0      70       2    0    0    0     0       0          0
enp3s0:  20       3    0    0    0     0          0         0       7       2    0    0    0     0       0          0
docker0: 300      3    0    0    0     0          0         0      40       2    0    0    0     0       0          0
"""
NVME = """\
 259       0 nvme0n1 100 0 2000 10 50 0 400 10 0 10 10 0 0 0 0 0 0
 259       1 nvme0n1p1 100 0 2000 10 50 0 400 10 0 10 10 0 0 0 0 0 0
 253       0 dm-0 100 0 2000 10 50 0 400 10 0 10 10 0 0 0 0 0 0
"""


@pytest.fixture
def machine(tmp_path: Path):
    """The captured files of a virtual machine, with the folders of /sys that say what is hardware."""
    shutil.copytree(CAPTURED / "vm", tmp_path, dirs_exist_ok=True)
    for name, real in {"vda": True, "loop0": False, "zram0": False}.items():
        (tmp_path / "sys/block" / name / ("device" if real else "")).mkdir(parents=True)
    for name, real in {"eth0": True, "ifb0": False, "lo": False}.items():
        (tmp_path / "sys/class/net" / name / ("device" if real else "")).mkdir(parents=True)
    return readings.Machine(root=tmp_path, mount=tmp_path)


def test_captured_machine_is_read_whole(machine):
    found = machine.read()

    assert found.load == (0.82, 1.0, 0.63)
    assert found.cpu == readings.cpu_ticks((CAPTURED / "vm/proc/stat").read_text())
    assert found.memory.total == 24_684_092 * 1024
    assert 0 < found.memory.available < found.memory.total
    assert 0 < found.disk.available <= found.disk.total
    assert found.disks.inward > 0
    assert found.network.inward > found.network.outward > 0
    assert found.temperature is None


def test_nothing_is_invented_where_nothing_can_be_read(tmp_path):
    found = readings.Machine(root=tmp_path, mount=tmp_path / "missing").read()

    assert found == readings.Readings()


@pytest.mark.parametrize("garbage", ["", "cpu", "intr 1 2 3", "MemTotal: none kB", "\x00"])
def test_kernel_files_of_another_form_are_left_out(machine, garbage):
    for name in ("loadavg", "stat", "meminfo"):
        (machine.root / "proc" / name).write_text(garbage)

    found = machine.read()

    assert (found.load, found.memory) == (None, None)
    assert found.cpu in (None, readings.Cpu(0, 0))  # "cpu" alone counts no ticks, and no ticks give no percentage
    assert found.network is not None


def test_cpu_counts_waiting_as_idle_and_guests_once():
    ticks = readings.cpu_ticks("cpu  10 20 30 400 50 6 7 8 9 9\ncpu0 1 2\n")

    assert ticks == readings.Cpu(busy=81, total=531)


def test_cpu_percent_is_the_busy_share_of_the_ticks_in_between():
    before, now = readings.Cpu(busy=100, total=1000), readings.Cpu(busy=150, total=1200)

    assert readings.cpu_percent(before, now) == 25.0
    assert readings.cpu_percent(now, now) is None
    assert readings.cpu_percent(now, before) is None


def test_rate_of_a_counter_that_went_back_is_unknown():
    assert readings.per_second(100, 350, 2.0) == 125.0
    assert readings.per_second(350, 100, 2.0) is None
    assert readings.per_second(100, 350, 0.0) is None


def test_partitions_and_layers_do_not_count_twice():
    assert readings.disk_traffic(NVME, ["nvme0n1"]) == readings.Traffic(2000 * 512, 400 * 512)


def test_only_real_interfaces_count_and_names_may_touch_their_numbers():
    assert readings.network_traffic(DOCKER_LAPTOP, ["wlp2s0", "enp3s0"]) == readings.Traffic(1020, 77)


def test_container_without_hardware_counts_everything_but_the_loopback(machine):
    (machine.root / "sys/class/net/eth0/device").rmdir()

    traffic = machine.read().network

    assert traffic == readings.network_traffic((machine.root / "proc/net/dev").read_text(), ["eth0", "ifb0"])


def test_temperature_is_that_of_the_hottest_plausible_sensor(machine):
    for path, text in {
        "sys/class/thermal/thermal_zone0/temp": "45000\n",
        "sys/class/thermal/thermal_zone1/temp": "-274000\n",
        "sys/class/hwmon/hwmon0/temp1_input": "61500\n",
        "sys/class/hwmon/hwmon0/temp2_input": "\n",
    }.items():
        (machine.root / path).parent.mkdir(parents=True, exist_ok=True)
        (machine.root / path).write_text(text)

    assert machine.read().temperature == 61.5


def test_sample_leaves_out_what_is_not_known():
    empty = host.sampled("kitchen", readings.Readings(), readings.Readings(), 1.0)

    assert empty == host.HostSampled("kitchen")


def test_sample_has_rates_over_the_time_in_between():
    before = readings.Readings(disks=readings.Traffic(0, 100), network=readings.Traffic(1000, 1000))
    now = readings.Readings(disks=readings.Traffic(50, 300), network=readings.Traffic(900, 1001))

    sample = host.sampled("kitchen", before, now, 2.0)

    assert (sample.disk_read_bytes_s, sample.disk_written_bytes_s) == (25, 100)
    assert sample.net_sent_bytes_s == 0
    assert sample.net_received_bytes_s is host.UNSET


async def test_this_machine_is_sampled_at_once_and_every_second(autojump_clock):
    async with harness(plugin, {"name": "kitchen"}) as rig:
        first = await rig.wait_for("HostSampled")
        times = [rig.ctx.now()]
        for _ in range(3):
            await rig.wait_for("HostSampled")
            times.append(rig.ctx.now())

    assert [later - times[0] for later in times] == pytest.approx([0, 1, 2, 3])
    assert first.host == "kitchen"
    assert first.load_1m >= 0
    assert first.memory_total_bytes > first.memory_available_bytes > 0
    assert {event.stream for event in rig.stored} == {"host-kitchen"}
    assert "cpu_percent" not in json.loads(rig.stored[0].data)


async def test_samples_go_on_after_the_log_refused_some(autojump_clock):
    async with harness(plugin, {"name": "kitchen"}) as rig:
        await rig.wait_for("HostSampled")
        rig.refusal = Unavailable("the disk is full")
        await rig.ctx.sleep(5)
        stored = len(rig.events)
        rig.refusal = None
        await rig.wait_for("HostSampled")

    assert stored == 1


async def test_panel_shows_what_the_machine_tells(autojump_clock):
    async with harness(plugin, {"name": "kitchen"}) as rig:
        shown = await rig.panel("Host")

    assert shown["host"] == "kitchen"
    assert shown["memory available"].endswith("GiB")


@pytest.mark.parametrize("table", [{"every": 0}, {"every": "1s"}, {"evry": 1}])
async def test_config_that_makes_no_sense_is_refused(table, autojump_clock):
    with pytest.raises(ConfigError):
        async with harness(plugin, table):
            pass
