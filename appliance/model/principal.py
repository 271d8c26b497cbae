"""Who is asking, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.errors import Forbidden
from appliance.model.event import Namespace

__all__ = ["ADMIN", "DELETE", "MCP", "READ", "SCOPES", "WRITE", "Principal"]

READ, WRITE, DELETE, ADMIN, MCP = "read", "write", "delete", "admin", "mcp"
SCOPES = frozenset({READ, WRITE, DELETE, ADMIN, MCP})


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller after authentication. It lives in one namespace and sees nothing of any other."""

    namespace: Namespace
    scopes: frozenset[str] = SCOPES
    subject: str = ""  # who, for logs and the roster
    token_id: str = ""
    operator: bool = False  # may act on other namespaces: an admin of namespace `default`
    memories: frozenset[str] = field(default_factory=frozenset)  # empty: all
    expires: int | None = None  # microseconds since 1970, of a signed token, which is kept nowhere

    def may(self, scope: str) -> bool:
        return scope in self.scopes or ADMIN in self.scopes

    def require(self, scope: str) -> None:
        if not self.may(scope):
            raise Forbidden(
                f"this needs scope {scope!r}, the token has {', '.join(sorted(self.scopes)) or 'none'}",
                hint=f"create a token with --scope {scope}",
                needed=scope,
            )
