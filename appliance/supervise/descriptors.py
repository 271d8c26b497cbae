"""A connection costs a file descriptor, and the usual limit is 1,024."""

from __future__ import annotations

import resource

import structlog

__all__ = ["enough_for"]

log = structlog.get_logger("supervise")

BESIDE_CLIENTS = 128  # log, readers, threads, listening sockets, files of plugins


def enough_for(clients: int) -> int:
    """Take as many descriptors as `clients` need and the system allows; says so if these are too few.

    Returns:
        How many we have now.
    """
    needed = clients + BESIDE_CLIENTS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < needed:
        log.warning("too few file descriptors for all clients", clients=clients, descriptors=soft, needed=needed)
    return soft
