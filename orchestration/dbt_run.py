"""dbt over a project that is parsed already: ``python -m orchestration.dbt_run build …`` is ``dbt build …``.

By itself dbt looks through the whole project at each start, and parses it anew wherever the environment is another
one. What it parses of this project depends on the project alone (macros/installation.sql), so that each run may start
from what ``prepare_manifest`` has left.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

from dbt.cli.main import cli
from dbt.contracts.graph.manifest import Manifest
from dbt.parser.manifest import extended_mashumuro_decoder

from orchestration.dbt_arguments import PARSED


def parsed_project(place: Path) -> Manifest:
    """The project as dbt has kept it after a parse (``partial_parse.msgpack``), as dbt takes it up again."""
    manifest = Manifest.from_msgpack(place.read_bytes(), decoder=extended_mashumuro_decoder)  # type: ignore[arg-type]
    manifest.build_flat_graph()
    return manifest


def main() -> None:
    """The command; exit codes are dbt's."""
    manifest = parsed_project(Path(os.environ[PARSED]))
    # All of it stays to the end: without this, a tenth of the time goes into looking for garbage in it.
    gc.freeze()
    try:
        cli(obj={"manifest": manifest}, prog_name="dbt")
    finally:
        # DuckDB's module complains at the end about what was not freed.
        gc.unfreeze()


if __name__ == "__main__":
    main()
