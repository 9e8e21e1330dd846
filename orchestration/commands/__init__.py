"""Sub-commands of ``watershed``."""
