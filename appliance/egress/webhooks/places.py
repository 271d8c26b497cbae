"""Where an endpoint is and what its requests are signed with: checked, sealed, opened, replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from appliance.auth.signing import SECRET_BYTES, check_secret, make_key_pair, make_secret
from appliance.auth.vault import Vault
from appliance.clock import MICROSECONDS
from appliance.egress.webhooks.addresses import Guard, TargetRefused
from appliance.egress.webhooks.endpoint import Endpoint, Place, Secret, Signature, signature_of
from appliance.egress.webhooks.wishes import Rotation
from appliance.errors import Conflict

__all__ = ["Places"]

MOST_SECRETS = 10  # good at once


class Places:
    """What is sealed of endpoints.

    Args:
        random: so many unpredictable bytes.
    """

    def __init__(self, guard: Guard, vault: Vault, random: Callable[[int], bytes]) -> None:
        self._guard = guard
        self._vault = vault
        self._random = random

    def kind(self, url: str) -> str:
        """ "external" or "local_or_private". Raises TargetRefused: webhooks may not go there."""
        self._guard.target(url)
        try:
            Guard().target(url)
        except TargetRefused:
            return "local_or_private"
        return "external"

    def secret(self, given: str | None, signature: Signature = "v1") -> str:
        """The one given, or a new one for `signature`. Raises Rejected: it cannot be used."""
        if given is None:
            random = self._random(SECRET_BYTES)
            return make_key_pair(random) if signature == "v1a" else make_secret(random)
        check_secret(given)
        return given

    def seal(self, id: str, place: Place) -> str:
        return self._vault.seal(msgspec.json.encode(place), id)

    def open(self, endpoint: Endpoint) -> Place:
        """Raises Sealed: with another key."""
        return msgspec.json.decode(self._vault.open(endpoint.sealed, endpoint.id), type=Place)

    def replaced(self, endpoint: Endpoint, given: Mapping[str, str]) -> str:
        """Sealed anew, with another `url` or `secret` or both; both need nothing of what was sealed before.

        Raises:
            Rejected: the secret cannot be used.
            Sealed: the rest cannot be read.
        """
        place = None if {"url", "secret"} <= given.keys() else self.open(endpoint)
        url = given["url"] if "url" in given or place is None else place.url
        secrets = (Secret(self.secret(given["secret"])),) if "secret" in given or place is None else place.secrets
        return self.seal(endpoint.id, Place(url, secrets))

    def rotated(self, endpoint: Endpoint, wish: Rotation, now_us: int) -> tuple[str, str]:
        """Sealed anew with a new secret, and that secret. Those before are good for the overlap.

        Raises:
            Conflict: too many are good still.
        """
        secret = self.secret(wish.secret, wish.signature or signature_of(endpoint))
        place = self.open(endpoint)
        until = now_us + wish.overlap_s * MICROSECONDS
        old = [Secret(one.text, until if one.until is None else min(one.until, until)) for one in place.secrets]
        good = [one for one in old if one.until is not None and one.until > now_us]
        if len(good) >= MOST_SECRETS:
            raise Conflict(f"{len(good)} secrets are good still", hint="rotate with a shorter overlap")
        return self.seal(endpoint.id, Place(place.url, (Secret(secret), *good))), secret
