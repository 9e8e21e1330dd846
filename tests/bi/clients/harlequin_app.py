"""Harlequin as ``harlequin -r <file>`` starts it, but on a screen in memory: keys are pressed, cells are read."""

import asyncio
import json
import re
import sys
from importlib.metadata import version

from harlequin import Harlequin
from harlequin.cli import build_cli
from talk import record

path, question = sys.argv[1:]
# Without a locale Harlequin greets with a page about it.
ARGUMENTS = ["-r", "--locale", "C", path]
COMMENT = "SELECT comment FROM duckdb_columns() WHERE table_name = 'customer_360' AND column_name = 'segment'"


async def until(pilot, condition):
    for _ in range(600):
        if condition():
            return
        await pilot.pause(0.05)
    raise TimeoutError("Harlequin did not come to it within 30 seconds")


async def run_sql(app, pilot, sql):
    """Type a query, press Ctrl+J, and return the table that appears, or the text of the error."""
    before = app.results_viewer.get_visible_table()
    app.editor.text = sql
    app.editor.focus()
    await pilot.pause()
    await pilot.press("ctrl+a", "ctrl+j")

    def answered():
        table = app.results_viewer.get_visible_table()
        return len(app.screen_stack) > 1 or (table is not None and table is not before and table.row_count)

    await until(pilot, answered)
    if len(app.screen_stack) > 1:
        texts = [str(widget.render()) for widget in app.screen.query("Static")]
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        return " ".join(texts)
    return app.results_viewer.get_visible_table()


async def drive(app):
    """Answer words until the input ends."""
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, lambda: app.connection is not None and app.editor is not None)
        while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
            output.write(json.dumps(await answer(app, pilot, word)) + "\n")
            output.flush()


async def answer(app, pilot, word):
    if word == "version":
        return version("harlequin")
    if word == "write":
        found = await run_sql(app, pilot, "DELETE FROM marts.customer_360")
        return found if isinstance(found, str) else None
    table = await run_sql(app, pilot, COMMENT if word == "comment" else question)
    rows = [table.get_row_at(index) for index in range(table.row_count)]
    if word == "comment":
        return rows[0][0]
    return record([re.sub(r"\W.*", "", str(column.label)) for column in table.ordered_columns], rows)


# While its screen is on, Harlequin keeps what is printed to itself.
output = sys.stdout
Harlequin.run = lambda app: asyncio.run(drive(app))
build_cli(ARGUMENTS)(ARGUMENTS)
