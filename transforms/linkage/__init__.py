"""Who may be who: profiles without a common identifier, matched on names, birth dates and addresses."""

from transforms.linkage.link import link_profiles, profile_linker

__all__ = ["link_profiles", "profile_linker"]
