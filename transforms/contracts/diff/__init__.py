"""What a change of contracts means for whoever depends on them."""

from transforms.contracts.diff.change import Change, Impact, Kind
from transforms.contracts.diff.compare import Comparison, compare
from transforms.contracts.diff.history import HistoryError, contracts_at
from transforms.contracts.diff.sets import ContractSet, read_lenient, read_set
from transforms.contracts.diff.versions import VersionFault

__all__ = [
    "Change",
    "Comparison",
    "ContractSet",
    "HistoryError",
    "Impact",
    "Kind",
    "VersionFault",
    "compare",
    "contracts_at",
    "read_lenient",
    "read_set",
]
