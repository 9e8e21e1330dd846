"""Who may be who: profiles without a common identifier, matched on names, birth dates and addresses."""
