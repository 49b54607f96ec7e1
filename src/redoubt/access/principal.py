"""A principal is whoever a request acts for; roles are no more than named sets of scopes.

Sessions and API tokens end in the same value, so that a handler asks one question: does this
principal have the scope? A token can never do what its maker's role could not.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from redoubt.model.errors import InputError
from redoubt.model.ids import OrganisationId
from redoubt.model.register import Role


class Scope(StrEnum):
    """One thing that may be done. The words travel in API tokens, so they never change."""

    READ = "read"
    """See sites, machines, series, findings and the register."""
    FINDINGS_ACK = "findings:ack"
    REGISTER_WRITE = "register:write"
    METRICS = "metrics"
    """Read /metrics from beyond loopback."""
    ADMIN = "admin"
    """Users, grants, tokens, sites' agents and the audit log."""


ROLE_SCOPES: dict[Role, frozenset[Scope]] = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.OPERATOR: frozenset({Scope.READ, Scope.FINDINGS_ACK}),
    Role.ADMIN: frozenset(Scope),
}


class PrincipalKind(StrEnum):
    USER = "user"
    TOKEN = "token"  # noqa: S105 - a kind of principal, not a secret


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts, in which organisation, with which scopes.

    `id` is the user's id, or the API token's. `role` is None for tokens.
    """

    kind: PrincipalKind
    id: str
    organisation: OrganisationId
    name: str
    role: Role | None
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes

    @property
    def who(self) -> str:
        """How records name this principal, e.g. "user:u-4f2a"."""
        return f"{self.kind}:{self.id}"


def parse_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes that `words` name. Raises InputError on a word that is none, or on none."""
    scopes: set[Scope] = set()
    for word in words:
        try:
            scopes.add(Scope(word))
        except ValueError:
            known = ", ".join(scope.value for scope in Scope)
            raise InputError(f"expected scopes among {known}, got {word[:40]!r}") from None
    if not scopes:
        raise InputError("expected at least one scope, got none")
    return frozenset(scopes)


def allowed_scopes(asked: frozenset[Scope], maker: Principal) -> frozenset[Scope]:
    """Return `asked` where `maker` has them all. Raises InputError otherwise."""
    missing = sorted(asked - maker.scopes)
    if missing:
        raise InputError(f"a token cannot have more scopes than its maker: {', '.join(missing)}")
    return asked
