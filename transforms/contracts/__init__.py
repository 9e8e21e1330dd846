"""Data contracts (ODCS 3): read, lint and compile."""

from transforms.contracts.document import ContractError, Problem
from transforms.contracts.model import Column, Entity, Mapping, Rule, Server, SourceContract
from transforms.contracts.registry import Contracts, load_contracts

__all__ = [
    "Column",
    "ContractError",
    "Contracts",
    "Entity",
    "Mapping",
    "Problem",
    "Rule",
    "Server",
    "SourceContract",
    "load_contracts",
]
