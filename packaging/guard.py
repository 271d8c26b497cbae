# The first lines of the zipapp: a machine that cannot run it is told so in one line, before anything is unpacked.
# Must parse and run on any Python, 2.7 included. The build appends the call of `refuse_unless`.

import os
import sys


def this_machine():
    """What runs us: implementation, version, threading mark, machine, C library."""
    try:
        library = os.confstr("CS_GNU_LIBC_VERSION")  # "glibc 2.36"
    except (AttributeError, ValueError, OSError):  # musl knows no such name
        library = "no glibc"
    return {
        "implementation": getattr(getattr(sys, "implementation", None), "name", "cpython"),
        "python": tuple(sys.version_info[:2]),
        "mark": "t" if "t" in getattr(sys, "abiflags", "") else "",  # the build without a global lock
        "machine": os.uname()[4] if sys.maxsize > 2**32 else "32 bit",
        "library": library,
    }


def objection(here, machine, pythons, glibc):
    """Why the zipapp cannot run `here`, as one line; an empty text when it can."""
    found = here["machine"]
    if here["implementation"] != "cpython" or here["python"] not in pythons or here["mark"]:
        found = "%s %d.%d%s" % ((here["implementation"],) + here["python"] + (here["mark"],))
    elif here["machine"] == machine:
        found = here["library"]
        if found.startswith("glibc ") and tuple(int(part) for part in found[6:].split(".")[:2]) >= glibc:
            return ""
    versions = ", ".join("%d.%d" % pair for pair in pythons)
    return "error: this file needs CPython %s on Linux %s with glibc %d.%d or newer; here is %s" % (
        (versions, machine) + glibc + (found,)
    )


def homeless(archive, default):
    """Why the zipapp cannot unpack itself, as one line; an empty text when it can or already has."""
    root = os.environ.get("SHIV_ROOT") or os.path.expanduser(default)
    name = os.path.basename(os.path.realpath(archive))
    if os.path.isdir(root) and any(entry.startswith(name + "_") for entry in os.listdir(root)):
        return ""
    try:
        if not root.startswith("~") and not os.path.isdir(root):
            os.makedirs(root)
        writable = os.access(root, os.W_OK)
    except OSError:
        writable = False
    return "" if writable else "error: cannot unpack into %s; set SHIV_ROOT to a folder that may be written once" % root


def refuse_unless(machine, pythons, glibc, root):
    """Ends the process with one line on stderr and code 2 unless the zipapp can run here."""
    line = objection(this_machine(), machine, pythons, glibc) or homeless(sys.argv[0], root)
    if line:
        sys.stderr.write(line + "\n")
        sys.exit(2)
