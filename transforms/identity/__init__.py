"""Who is who: from the raw identifiers of all channels to persistent customer ids."""

from transforms.identity.overrides import OverrideError
from transforms.identity.policy import PolicyError
from transforms.identity.quality import IdentityHeld
from transforms.identity.report import IdentityReport
from transforms.identity.resolve import ensure_empty_state, resolve_identities

__all__ = ["IdentityHeld", "IdentityReport", "OverrideError", "PolicyError", "ensure_empty_state", "resolve_identities"]
