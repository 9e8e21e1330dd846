"""Data contracts (ODCS 3): read, lint and compile."""

from transforms.contracts.document import ContractError, Problem
from transforms.contracts.model import Column, Entity, Mapping, Rule, SourceContract
from transforms.contracts.registry import Contracts, load_contracts
from transforms.contracts.servers import ApiServer, FileServer, PostgresServer, Server

__all__ = [
    "ApiServer",
    "Column",
    "ContractError",
    "Contracts",
    "Entity",
    "FileServer",
    "Mapping",
    "PostgresServer",
    "Problem",
    "Rule",
    "Server",
    "SourceContract",
    "load_contracts",
]
