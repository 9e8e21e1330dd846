"""What every Python client here does with its input: one word a line, one line of JSON in return."""

import datetime
import decimal
import json
import sys


def plain(value):
    """A value as JSON has it; the type must be the one that people expect, else its name comes along."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if value is None or (isinstance(value, (str, int)) and not isinstance(value, bool)):
        return value
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    return f"{type(value).__name__}: {value}"


def record(names, rows):
    """The one row of an answer, by column."""
    (row,) = rows
    return {name: plain(value) for name, value in zip(names, row, strict=True)}


def refusal(write):
    """The message with which an attempt to write is refused; null where it is not."""
    try:
        write()
    except Exception as error:
        return str(error)
    return None


def serve(words):
    """Answer until nobody asks any more."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(words[line.strip()]()) + "\n")
        sys.stdout.flush()
