"""Who is who: from the raw identifiers of all channels to persistent customer ids."""

from transforms.identity.report import IdentityReport
from transforms.identity.resolve import ensure_empty_state, resolve_identities

__all__ = ["IdentityReport", "ensure_empty_state", "resolve_identities"]
