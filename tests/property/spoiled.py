"""Ways to spoil a file that was fine: its bytes, its lines and cells, its columns, the values of a document."""

import math
import re
import signal
from contextlib import contextmanager, suppress
from decimal import Decimal

import pyarrow as pa
from hypothesis import strategies as st

HANG_S = 60
"""No example takes a second; one that takes so long hangs, however busy the machine."""

ODD_CELLS = (
    "", " ", "nan", "NaN", "null", "inf", "-inf", "1e400", "-1e400", "1e-400", "-0", "-1", "5.5", "10" * 200, "0x10",
    "1_000", " 5 ", "+7", "٣", "5,5", "true", "\0", '"', '""', '"5', "'", ";", "é", "\u202e", "\ufeff", "\r", "\n",
    "\x1b[31m",
    "2025-01-06", "2025-01-06T00:00:00Z", "2025-02-30T00:00:00Z", "2025-01-06T24:00:00Z", "9999-12-31T23:59:59-14:00",
    "1969-12-31T23:59:59Z", "2025-01-06T06:00:00.123456789Z", "20250106T060000", "2025-W02-1", "1736143200", "x" * 3000,
)  # fmt: skip
"""What may stand in a cell of somebody's table."""


@contextmanager
def no_hang():
    """Fail when what is inside does not end; where the system has no such clock (Windows), nothing is watched."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def fail(_signal, _frame):
        raise AssertionError(f"it goes on after {HANG_S} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(HANG_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def spoil(content, ways):
    """Return the content after each of some ways in turn."""
    for way in ways:
        content = way(content)
    return content


def several(ways, most=3):
    """Return lists of ways, short ones most of the time."""
    return st.lists(st.one_of(ways), min_size=1, max_size=most)


def _at(items, where):
    return where % max(len(items), 1)


places = st.integers(0, 2**16)


def flip_bit(where, bit):
    def way(raw):
        at = _at(raw, where)
        return raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :] if raw else raw

    return way


def cut_off(where):
    return lambda raw: raw[: _at(raw, where)]


def drop_bytes(where, count):
    return lambda raw: raw[: _at(raw, where)] + raw[_at(raw, where) + count :]


def insert_bytes(where, more):
    return lambda raw: raw[: _at(raw, where)] + more + raw[_at(raw, where) :]


BYTES = [
    st.builds(flip_bit, places, st.integers(0, 7)),
    st.builds(cut_off, places),
    st.builds(drop_bytes, places, st.integers(1, 20)),
    st.builds(insert_bytes, places, st.binary(min_size=1, max_size=4)),
    st.builds(insert_bytes, places, st.sampled_from([cell.encode() for cell in ODD_CELLS])),
]
"""Ways to spoil any bytes."""


def in_lines(change):
    """Return a way for bytes from one that changes a list of lines, each a list of cells, in place."""

    def way(raw):
        lines = [line.split(b",") for line in raw.split(b"\n")]
        change(lines)
        return b"\n".join(b",".join(cells) for cells in lines)

    return way


def drop_line(where):
    return in_lines(lambda lines: lines.pop(_at(lines, where)))


def double_line(where, to):
    return in_lines(lambda lines: lines.insert(_at(lines, to), list(lines[_at(lines, where)])))


def swap_lines(one, other):
    def change(lines):
        a, b = _at(lines, one), _at(lines, other)
        lines[a], lines[b] = lines[b], lines[a]

    return in_lines(change)


def set_cell(line, column, text):
    def change(lines):
        cells = lines[_at(lines, line)]
        cells[_at(cells, column)] = text.encode()

    return in_lines(change)


def set_column(column, text):
    def change(lines):
        for cells in lines[1:]:
            if any(cells):
                cells[_at(cells, column)] = text.encode()

    return in_lines(change)


def drop_column(column):
    def change(lines):
        for cells in lines:
            del cells[_at(cells, column)]

    return in_lines(change)


def double_column(column):
    def change(lines):
        for cells in lines:
            cells.append(cells[_at(cells, column)])

    return in_lines(change)


odd_cells = st.sampled_from(ODD_CELLS) | st.text(max_size=6)
TABLE_TEXT = [
    st.builds(drop_line, places),
    st.builds(double_line, places, places),
    st.builds(swap_lines, places, places),
    st.builds(set_cell, places, places, odd_cells),
    st.builds(set_cell, places, places, odd_cells),
    st.builds(set_column, places, odd_cells),
    st.builds(drop_column, places),
    st.builds(double_column, places),
]
"""Ways to spoil the bytes of a table of text."""


def plain_cells(raw):
    """Return the cells of a table of plain text by column, or None where quotes or odd lines leave it to the reader."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if re.search(r"[\"\r\0]", text):
        return None
    names, *lines = [line.split(",") for line in text.split("\n") if line] or [[]]
    if any(len(cells) != len(names) for cells in lines) or len(set(names)) < len(names):
        return None
    return {name: [cells[k] for cells in lines] for k, name in enumerate(names)}


TYPES = (
    pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.int8(), pa.int32(), pa.int64(), pa.uint64(),
    pa.float16(), pa.float32(), pa.decimal128(30, 6), pa.date32(), pa.date64(), pa.time64("us"), pa.duration("s"),
    pa.timestamp("s"), pa.timestamp("ms", "UTC"), pa.timestamp("us", "America/New_York"), pa.timestamp("ns"),
    pa.bool_(),
)  # fmt: skip
"""What a column may be cast to."""


def _dictionary(words, rows):
    return pa.DictionaryArray.from_arrays(pa.array([k % len(words) for k in range(rows)], pa.int8()), pa.array(words))


def _not_utf8(rows):
    return pa.array([b"\xff\xfe"] * rows, pa.binary()).view(pa.string())


COLUMNS = (
    pa.nulls,
    lambda n: pa.nulls(n, pa.string()),
    lambda n: pa.array([[1.0]] * n),
    lambda n: pa.array([{"a": 1.0}] * n),
    lambda n: pa.array([[("k", 1)]] * n, pa.map_(pa.string(), pa.int8())),
    lambda n: pa.array([True, None] * n)[:n],
    lambda n: pa.array([k % 2 == 0 for k in range(n)]),
    lambda n: pa.array(["false"] * n),
    lambda n: pa.array([b"22.5"] * n),
    lambda n: pa.array([2**62] * n),
    lambda n: pa.array([math.inf] * n),
    lambda n: pa.array([math.nan] * n),
    lambda n: pa.array([1e300] * n),
    lambda n: pa.array(["22.5"] * n),
    lambda n: pa.array(["nan"] * n),
    lambda n: pa.array(["1_0"] * n),
    lambda n: pa.array([Decimal("22.5")] * n),
    lambda n: pa.array([k % 3 for k in range(n)]),
    lambda n: pa.array([2**62] * n, pa.timestamp("ns")),
    lambda n: pa.array([-(2**62)] * n, pa.timestamp("s", "UTC")),
    lambda n: pa.array([0] * n, pa.duration("ms")),
    lambda n: _dictionary(["22.5", "23.5", "unused"], n).take(pa.array([0] * n, pa.int8())),
    lambda n: _dictionary([22.5, 23.5], n),
    lambda n: _dictionary(["a", None], n),
    lambda n: _dictionary(["a", "a"], n),
    lambda n: _dictionary([True, False], n),
    _not_utf8,
)
"""Columns of so many rows that may stand where others were expected."""


def cast_column(column, kind):
    def way(table):
        with suppress(pa.ArrowException, IndexError):
            return _with(table, column, table.column(_at(table.columns, column)).cast(kind, safe=False))
        return table

    return way


def _with(table, column, values):
    at = _at(table.columns, column)
    return table.set_column(at, table.column_names[at], values) if table.num_columns else table


def other_column(column, make):
    return lambda table: _with(table, column, make(table.num_rows))


def null_cell(row, column):
    def way(table):
        at = _at(range(table.num_rows), row)
        if not table.num_columns or not table.num_rows:
            return table
        values = table.column(_at(table.columns, column))
        gap = pa.chunked_array([pa.nulls(1, values.type)])
        return _with(
            table, column, pa.chunked_array([*values[:at].chunks, *gap.chunks, *values[at + 1 :].chunks], values.type)
        )

    return way


def as_categories(column):
    def way(table):
        with suppress(pa.ArrowException, IndexError):
            return _with(table, column, table.column(_at(table.columns, column)).dictionary_encode())
        return table

    return way


def without_column(column):
    return lambda table: table.remove_column(_at(table.columns, column)) if table.num_columns else table


def named_otherwise(column, name):
    def way(table):
        names = list(table.column_names)
        names[_at(names, column) : _at(names, column) + 1] = [name] if names else []
        return table.rename_columns(names)

    return way


def rows_in_order(picks):
    def way(table):
        with suppress(pa.ArrowException, ZeroDivisionError):  # of some types Arrow takes no rows
            return table.take(pa.array([p % table.num_rows for p in picks], pa.int64()))
        return table

    return way


def first_rows(count):
    return lambda table: table.slice(0, count)


TABLE = [
    st.builds(other_column, places, st.sampled_from(COLUMNS)),
    st.builds(other_column, places, st.sampled_from(COLUMNS)),
    st.builds(cast_column, places, st.sampled_from(TYPES)),
    st.builds(cast_column, places, st.sampled_from(TYPES)),
    st.builds(null_cell, places, places),
    st.builds(as_categories, places),
    st.builds(without_column, places),
    st.builds(named_otherwise, places, st.sampled_from(["ts", "rack_id", "inlet_c", "", "é", "a.b"])),
    st.builds(rows_in_order, st.lists(places, max_size=6)),
    st.builds(first_rows, st.integers(0, 12)),
]
"""Ways to spoil a table of Arrow."""


def paths_of(document, at=()):
    """Return the places of all values of nested mappings and lists, but the whole itself."""
    if isinstance(document, (dict, list)):
        pairs = document.items() if isinstance(document, dict) else enumerate(document)
        return [path for key, value in pairs for path in [(*at, key), *paths_of(value, (*at, key))]]
    return []


def replaced(document, where, value):
    """Return a document with one of its values replaced, chosen by a number."""
    paths = paths_of(document)
    return _put(document, paths[_at(paths, where)], value) if paths else value


def _put(inside, path, value):
    if not path:
        return value
    copy = inside.copy()
    copy[path[0]] = _put(inside[path[0]], path[1:], value)
    return copy


def set_value(where, value):
    return lambda document: replaced(document, where, value)


def without_value(where):
    def way(document):
        paths = paths_of(document)
        return _without(document, paths[_at(paths, where)]) if paths else document

    return way


def _without(inside, path):
    copy = inside.copy()
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = _without(inside[path[0]], path[1:])
    return copy


def moved_value(where, to):
    """Return a way that puts one value of a document in the place of another."""

    def way(document):
        paths = paths_of(document)
        value = document
        for key in paths[_at(paths, where)] if paths else ():
            value = value[key]
        return replaced(document, to, value)

    return way


def document_ways(values):
    """Return ways to spoil a document of mappings and lists with some values."""
    return [
        st.builds(set_value, places, values),
        st.builds(set_value, places, values),
        st.builds(without_value, places),
        st.builds(moved_value, places, places),
    ]
