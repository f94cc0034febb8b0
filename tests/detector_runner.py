"""Runs a detector on rows: compiled once, then fed one small world after another."""

from __future__ import annotations

import functools

import ibis

from brokenseal.detectors import DETECTORS, WEIGHED
from support import TABLES, arrow_table, make_tables

BY_ID = {detector.id: detector for detector in (*DETECTORS, *WEIGHED)}
COMPUTING = ("mail_access.stranger_client", "mail_access.strange_volume", "sign_in.unknown_device")
"""Detectors that compute in between, so that they are no one expression; they have tests of their own."""
EXPRESSIONS = tuple(detector for name, detector in BY_ID.items() if name not in COMPUTING)


@functools.cache
def connection():
    con = ibis.duckdb.connect()
    make_tables({}, con)
    return con


class Runner:
    """An expression on the declared tables, as SQL of the engine that the product uses."""

    def __init__(self, build, names):
        self.con = connection()
        self.names = tuple(names)
        self.sql = str(ibis.to_sql(build({name: self.con.table(name) for name in TABLES}), dialect="duckdb"))

    def __call__(self, world):
        for name in self.names:
            self.con.con.register("given", arrow_table(name, world.get(name, ())))
            self.con.con.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM given")
            self.con.con.unregister("given")
        return self.con.con.sql(self.sql).to_arrow_table().to_pylist()


@functools.cache
def runner_of(detector_id):
    """The runner of one detector; equal for all tests of a run."""
    detector = BY_ID[detector_id]
    return Runner(detector.find, detector.reads)
