"""Which interpreters and machines we ship to, and how pip is told to choose wheels for one of them."""

from __future__ import annotations

__all__ = ["GLIBC", "LOCKED_PYTHONS", "MACHINES", "PYTHONS", "wheel_options"]

PYTHONS = ("3.11", "3.12", "3.13")  # tested, and served by the zipapp
LOCKED_PYTHONS = (*PYTHONS, "3.14")  # `make run` may also meet a newer one; the lock has its wheels
MACHINES = ("x86_64", "aarch64")
GLIBC = (2, 28)  # the oldest C library the zipapp runs on: Debian 10, RHEL 8, Ubuntu 18.10


def wheel_options(python: str, machine: str, glibc_minor: int = GLIBC[1]) -> list[str]:
    """The options that make pip choose as CPython `python` on `machine` with glibc 2.`glibc_minor` would."""
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(glibc_minor, 16, -1)] + [
        f"manylinux2014_{machine}"
    ]
    if machine == "x86_64":  # older baselines exist for this one only
        platforms += ["manylinux_2_12_x86_64", "manylinux2010_x86_64", "manylinux_2_5_x86_64", "manylinux1_x86_64"]
    abis = ["cp" + python.replace(".", ""), "abi3", "none"]
    options = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python]
    options += [part for abi in abis for part in ("--abi", abi)]
    return options + [part for platform in platforms for part in ("--platform", platform)]
