"""One simulated tenant in every shape of export: what is read from each is the same."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from brokenseal.drill import generate, priors
from brokenseal.drill.generate import DrillSettings, Order
from brokenseal.ingest import ingest
from brokenseal.investigate import build_document
from brokenseal.reports.json_document import to_json
from brokenseal.settings import Settings
from brokenseal.store import Store

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
# A quiet tenant, so that three of them are read in seconds.
QUIET = {
    "records_per_day": priors.Span(2, 2),
    "records_sigma": priors.Span(0.2, 0.2),
    "spray_per_day": priors.Span(2, 2),
    "non_interactive_missing": priors.Span(0, 0),
}
# Where a record stands; and Graph gives the times of sign-ins to the second, diagnostic lines to the millisecond.
OF_THE_SHAPE = {"events": {"input_sha256", "record_no", "occurred_at"}, "sign_ins": {"occurred_at"}}
UNLIKE = {"ledger", "quarantine"}


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Per shape: the result of ingest, the tables, and the document."""
    folder = tmp_path_factory.mktemp("shapes")
    prior = priors.Prior(name="quiet", spans={**priors.TRAIN.spans, **QUIET})
    found = {}
    for shape in ("portal", "stream", "mixed"):
        output, settings = folder / shape, Settings(store_dir=folder / f"store-{shape}")
        orders = (Order("A11", 1), Order("A1", 2))
        generate.generate(
            DrillSettings(
                output=output, tenants=1, mailboxes=10, days=7, seed=5, prior=prior, shape=shape, attacks=orders
            )
        )
        result = ingest([output / "exports"], settings, now=NOW)
        with Store.open(settings) as store:
            tables = {name: table.to_pyarrow().to_pylist() for name, table in store.tables().items()}
            document = json.loads(to_json(build_document(store))) if shape != "mixed" else None
        found[shape] = result, tables, document
    return found


def rows_of(table, rows):
    left_out = OF_THE_SHAPE.get(table, set())
    texts = [json.dumps({k: v for k, v in row.items() if k not in left_out}, default=str) for row in rows]
    return sorted(texts)


def test_nothing_is_rejected_in_any_shape(seen):
    assert [(result.rejected, result.ignored) for result, _, _ in seen.values()] == [(0, 0)] * 3
    assert len({result.kept for result, _, _ in seen.values()}) == 1
    assert len({result.records for result, _, _ in seen.values()}) == 3


@pytest.mark.parametrize("shape", ["stream", "mixed"])
def test_every_table_is_the_same(seen, shape):
    (_, portal, _), (_, other, _) = seen["portal"], seen[shape]
    filled = {name for name in portal if portal[name]} - UNLIKE
    assert {"events", "mail_accesses", "accessed_items", "sign_ins", "config_changes", "message_traces"} <= filled
    for name in filled:
        assert rows_of(name, portal[name]) == rows_of(name, other[name]), name


def test_times_of_sign_ins_differ_within_their_second(seen):
    (_, portal, _), (_, stream, _) = seen["portal"], seen["stream"]
    times = {row["event_id"]: row["occurred_at"] for row in stream["sign_ins"]}
    apart = [times[row["event_id"]] - row["occurred_at"] for row in portal["sign_ins"]]
    assert {dt.timedelta(0) <= one < dt.timedelta(seconds=1) for one in apart} == {True}


def test_the_document_says_the_same(seen):
    documents = [seen[shape][2] for shape in ("portal", "stream")]
    for document in documents:
        assert document["simulated"] is True
        del document["inputs"], document["table_versions"]
        for source in document["coverage"]["sources"]:
            source |= {name: (source[name] or "")[:19] for name in ("first_at", "last_at")}
    assert documents[0] == documents[1]
    assert documents[0]["cases"]
