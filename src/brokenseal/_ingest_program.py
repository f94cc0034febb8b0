"""The queries of a columnar path, compiled once for each run, and what was derived with it so far."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import ibis
import numpy as np
import pyarrow as pa

from brokenseal import schema
from brokenseal._ingest_batch import arrow_table
from brokenseal._ingest_fit import Fit
from brokenseal._workbench import compile_query
from brokenseal.store import INPUT_NO, stored_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import ibis.expr.types as ir

    from brokenseal._ingest_plan import Way
    from brokenseal.model import Lookup

PLACE_BITS: Final = 32
"""In what is written, `record_no` has the number of the input above as many bits, and the record's own below."""

_DERIVED_AT_ONCE: Final = 8_192
# What is remembered of combinations: fewer where lists of rows are derived from them, a few KiB each, and none with
# much text, which hardly recurs.
_KNOWN_COMBINATIONS: Final = 200_000
_KNOWN_LISTS: Final = 20_000
_KNOWN_CHARACTERS: Final = 1_000

_TABLES = {table.name: table for table in schema.RECORD_TABLES}


class Program:
    """A columnar path ready to run.

    Attributes:
        columnar: The path.
        fit: Tells the lines that the engine would refuse.
        groups: Lookup name to the query of its distinct combinations, each with the positions of its records (those
            that the lookup is for).
        views: Name to query of the views that the other queries read; they rest on the held table `numbers` and
            the table or view `chosen_numbers`.
        taken: Query of the rows taken: record_no (the position), event_id, occurred_at. It leaves out the records
            of the held table `odd`.
        outputs: Table name to the query of its rows among those in `chosen_numbers`.
    """

    def __init__(self, way: Way) -> None:
        """Compile."""
        columnar = way.columnar
        self.columnar = columnar
        self.fit = Fit(columnar.raw_schema)
        self.groups: dict[str, str] = {}
        self.views: dict[str, str] = {}
        self._derived: dict[str, dict[tuple[str | None, ...], tuple[Any, ...]]] = {}
        self._raw = ibis.table(
            {"record_no": "int64", **columnar.raw_schema, **dict.fromkeys(columnar.members, "string")}, name="raw"
        )
        for each in columnar.lookups:
            meant = self._raw if each.only is None else self._raw.filter(each.only(self._raw))
            keyed = meant.select("record_no", **{name: key(meant) for name, key in each.keys.items()})
            self.groups[each.name] = compile_query(
                keyed.group_by(list(each.keys)).agg(records=keyed.record_no.collect())
            )
        derived = {f"{each.name}__{name}": kind for each in columnar.lookups for name, kind in each.columns.items()}
        self._schema = ibis.schema({**self._raw.schema(), **derived})
        odd = ibis.table({"record_no": "int64"}, name="odd")
        named = ibis.table(self._schema, name="wide")
        own = [named[name].notnull() & (named[name] != "") for name in way.filled]
        fits = ibis.and_(columnar.takes(named), named.record_no.notin(odd.record_no), *own)
        events = columnar.normalise(named.filter(fits))["events"]
        taken = events.select("record_no", "event_id", "occurred_at")
        self.taken = self._over("wide", taken, "numbers", "record_no")
        self.outputs = {name: self._output(name) for name in columnar.normalise(named)}

    def _output(self, name: str) -> str:
        view = f"wide_{name}"
        rows = self.columnar.normalise(ibis.table(self._schema, name=view))[name]
        query = self._over(view, _complete(name, rows), "chosen_numbers", "place")
        if INPUT_NO not in stored_schema(_TABLES[name]).names:
            return query
        own = f"CAST(record_no & {(1 << PLACE_BITS) - 1} AS BIGINT) AS record_no"
        return f"SELECT * REPLACE ({own}), record_no >> {PLACE_BITS} AS {INPUT_NO} FROM ({query})"  # noqa: S608 - names and numbers of our own

    def _over(self, view: str, rows: ir.Table, numbers: str, number: str) -> str:
        """Compile a query over the wide rows, which are joined from those lookups only that it uses.

        The wide rows are the raw ones with the columns of lookups, and a column of `numbers` for `record_no`.
        """
        query = compile_query(rows)
        joins = "".join(
            f' JOIN "{each.name}__derived" ON "{each.name}__no" = "{each.name}__at"'
            for each in self.columnar.lookups
            if f"{each.name}__" in query
        )
        self.views[view] = f"SELECT * REPLACE ({number} AS record_no) FROM raw JOIN {numbers} USING (record_no){joins}"  # noqa: S608 - names of our own
        return query

    def derived(self, lookup: Lookup, combinations: pa.Table) -> pa.Table:
        """The derived columns of each combination, with its number as `<lookup>__at`.

        Behind the last one stand those of the records that the lookup is not for, where there may be such.
        """
        kinds = {f"{lookup.name}__{name}": kind for name, kind in lookup.columns.items()}
        wanted = ibis.schema(kinds).to_pyarrow()
        names = list(lookup.keys)
        # Some at a time: of a file of nothing but changes, each combination is several objects.
        batches = combinations.select(names).to_batches(_DERIVED_AT_ONCE)
        given = (zip(*batch.to_pydict().values(), strict=True) for batch in batches)
        others = () if lookup.only is None else ([(None,) * len(names)],)
        blocks = [
            arrow_table([list(column) for column in zip(*self._rows(lookup, each), strict=True)], wanted)
            for each in chain(given, others)
        ]
        found = pa.concat_tables(blocks)
        return found.add_column(0, f"{lookup.name}__at", pa.array(np.arange(len(found))))

    def _rows(self, lookup: Lookup, combinations: Iterable[tuple[str | None, ...]]) -> Iterator[tuple[Any, ...]]:
        """What is derived from each combination; what is derived from a recurring one is remembered."""
        known = self._derived.setdefault(lookup.name, {})
        has_lists = any(kind.startswith("array") for kind in lookup.columns.values())
        if len(known) > (_KNOWN_LISTS if has_lists else _KNOWN_COMBINATIONS):
            known.clear()
        for keys in combinations:
            found = known.get(keys)
            if found is None:
                values = lookup.derive(dict(zip(lookup.keys, keys, strict=True)))
                found = tuple(values[name] for name in lookup.columns)
                if sum(map(len, filter(None, keys))) <= _KNOWN_CHARACTERS:
                    known[keys] = found
            yield found


def _complete(name: str, rows: ir.Table) -> ir.Table:
    """Every stored column of the table but the number of the input."""
    declared = _TABLES[name].ibis_schema()
    stored = [item.name for item in stored_schema(_TABLES[name]) if item.name != INPUT_NO]
    return rows.select(
        **{
            column: rows[column].cast(declared[column]) if column in rows.columns else ibis.null(declared[column])
            for column in stored
        }
    )
