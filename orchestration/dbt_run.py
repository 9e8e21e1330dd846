"""dbt over a project that is parsed already: ``python -m orchestration.dbt_run build …`` is ``dbt build …``.

By itself dbt looks through the whole project at each start, and parses it anew wherever the environment is another
one. What it parses of this project depends on the project alone (macros/installation.sql), so that each run may start
from what ``prepare_manifest`` has left.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from orchestration.dbt_arguments import PARSED
from transforms.quick_imports import quick_imports

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest


def parsed_project(place: Path) -> Manifest:
    """The project as dbt has kept it after a parse (``partial_parse.msgpack``), as dbt takes it up again."""
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder

    manifest = Manifest.from_msgpack(place.read_bytes(), decoder=extended_mashumuro_decoder)  # type: ignore[arg-type]
    manifest.build_flat_graph()
    return manifest


def spare_unread_events() -> None:
    """Have dbt drop an event that none of its loggers writes down, before it is made into lines.

    By itself it makes a message of each SQL statement, and of each message a line of JSON for every logger, and only
    then asks for the level: a seventh of the time of a build.
    """
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.event_manager import EventManager

    fire = EventManager.fire_event
    details = {EventLevel.DEBUG, EventLevel.TEST}

    def fire_if_read(manager: EventManager, e: Any, level: EventLevel | None = None, *others: Any, **more: Any) -> None:
        if (level or e.level_tag()) in details and not any(logger.level in details for logger in manager.loggers):
            return
        fire(manager, e, level, *others, **more)

    EventManager.fire_event = fire_if_read  # type: ignore[method-assign]


def run_dbt(arguments: Sequence[str], manifest: Manifest) -> NoReturn:
    """Be dbt with these arguments; exit codes are dbt's."""
    from dbt.cli.main import cli

    cli(list(arguments), obj={"manifest": manifest}, prog_name="dbt")
    sys.exit()


def main() -> NoReturn:
    """The command; exit codes are dbt's."""
    # The project itself stays to the end too: looking through it took a tenth of the time.
    with quick_imports("dbt.cli.main"):
        import dbt.cli.main  # noqa: F401

        manifest = parsed_project(Path(os.environ[PARSED]))
        spare_unread_events()
    run_dbt(sys.argv[1:], manifest)


if __name__ == "__main__":
    main()
