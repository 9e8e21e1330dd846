"""Our own start of dbt writes down what dbt's would."""

from __future__ import annotations

import io

import pytest
from dbt.adapters.events.types import SQLQuery
from dbt_common.events.base_types import EventLevel, msg_from_base_event
from dbt_common.events.event_manager import EventManager
from dbt_common.events.logger import LineFormat, LoggerConfig
from dbt_common.events.types import Note

from orchestration.dbt_run import spare_unread_events


def _written(level: EventLevel) -> str:
    stream = io.StringIO()
    manager = EventManager()
    config = LoggerConfig(f"test_{level}", level=level, line_format=LineFormat.Json, output_stream=stream)
    manager.add_logger(config)
    manager.fire_event(SQLQuery(conn_name="model", sql="select 1 as detail"))
    manager.fire_event(Note(msg="a note"))
    manager.fire_event(Note(msg="a detail"), level=EventLevel.DEBUG)
    manager.fire_event(SQLQuery(conn_name="model", sql="select 2 as raised"), level=EventLevel.INFO)
    return stream.getvalue()


@pytest.mark.parametrize("level", [EventLevel.DEBUG, EventLevel.INFO], ids=str)
def test_what_is_read_is_written_and_nothing_else_is_made_into_lines(
    monkeypatch: pytest.MonkeyPatch, level: EventLevel
) -> None:
    """A note has the level info by itself, a statement of SQL is a detail; a call may say otherwise."""
    wanted = ["a note", "select 2 as raised"]
    details = ["select 1 as detail", "a detail"]
    assert all(text in _written(level) for text in wanted)
    monkeypatch.setattr(EventManager, "fire_event", EventManager.fire_event)
    spare_unread_events()
    made = []
    monkeypatch.setattr(
        "dbt_common.events.event_manager.msg_from_base_event",
        lambda event, level: (made.append(event), msg_from_base_event(event, level))[1],
    )
    written = _written(level)
    assert all(text in written for text in wanted)
    assert [text in written for text in details] == [level is EventLevel.DEBUG] * 2
    assert len(made) == (4 if level is EventLevel.DEBUG else 2)
