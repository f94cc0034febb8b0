"""What is delivered when, how often, and what never is."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from brokenseal.drill import delivery, priors, streams, tables
from brokenseal.drill.tables import DAY_US, HOUR_US, MINUTE_US, numbers, words
from drill_tables import EPOCH_US, records

PARAMETERS = priors.draw(priors.TRAIN, streams.stream(5, "parameters"))


def law(logs="full", shape="stream", days=30, **changed):
    parameters = priors.TenantParameters(**{**PARAMETERS.as_dict(), **changed})
    return delivery.delivery_law(parameters, seed=3, tenant_no=0, logs=logs, shape=shape, starts_us=EPOCH_US, days=days)


def lines(stream="ual_exchange", rows=20_000, day=0, span_us=DAY_US):
    table = records(day, rows)
    at = EPOCH_US + day * DAY_US + np.sort(np.random.default_rng(1).integers(0, span_us, rows))
    mailboxes = np.arange(rows, dtype=np.int32) % 50
    return delivery.Lines(stream, "audit_records", numbers(table, "record_no"), at, mailboxes, table)


def reasons(delivered):
    return set(words(delivered, "withheld_reason")) - {None}


def test_every_line_stands_once_as_itself_and_its_copies_follow_it():
    own = lines()
    delivered = delivery.deliver([own], law(gaps_per_month=0, duplicate_rate=0.5), day=0)
    copy = numbers(delivered, "copy_no")
    assert numbers(delivered, "row_no")[copy == 0].tolist() == own.row_no.tolist()
    starts = np.flatnonzero(copy == 0)
    for start, stop in zip(starts, [*starts[1:], len(copy)], strict=True):
        assert copy[start:stop].tolist() == list(range(stop - start))
        assert len(set(numbers(delivered, "row_no")[start:stop].tolist())) == 1


def test_a_line_is_never_available_before_it_happened_nor_later_than_three_days():
    delivered = delivery.deliver([lines()], law(duplicate_rate=0), day=0)
    lag = numbers(delivered, "available_at_us") - numbers(delivered, "at_us")
    assert lag.min() > 0
    assert lag.max() <= 72 * HOUR_US


@pytest.mark.parametrize(("stream", "median"), [("ual_exchange", 40), ("interactive", 12)])
def test_lateness_has_the_median_of_the_prior_and_its_tail(stream, median):
    delivered = delivery.deliver([lines(stream, 200_000)], law(duplicate_rate=0), day=0)
    lag = (numbers(delivered, "available_at_us") - numbers(delivered, "at_us")) / MINUTE_US
    assert np.median(lag) == pytest.approx(median, rel=0.02)
    tail = 6 * 60 if stream == "ual_exchange" else 3 * 60
    assert (lag > tail).mean() == pytest.approx(0.001, rel=0.35)


def test_the_share_of_copied_lines_is_that_of_the_prior_and_some_are_copied_often():
    own = lines(rows=200_000)
    delivered = delivery.deliver([own], law(duplicate_rate=0.7, gaps_per_month=0), day=0)
    copies = np.bincount(numbers(delivered, "row_no") - own.row_no[0]) - 1
    assert (copies > 0).mean() == pytest.approx(0.7, abs=0.01)
    assert (copies == 1).sum() / (copies > 0).sum() == pytest.approx(0.94, abs=0.01)
    assert copies.max() > 60


def test_downloads_hold_no_copies_but_for_the_hours_before_the_switch():
    own = lines(rows=5_000)
    assert numbers(delivery.deliver([own], law(shape="portal", duplicate_rate=0.7), day=0), "copy_no").max() == 0
    mixed = law(shape="mixed", duplicate_rate=0.0, gaps_per_month=0)
    day = (mixed.switch_us - EPOCH_US) // DAY_US - 1
    last = delivery.deliver([lines(rows=5_000, day=day)], mixed, day=day)
    is_copied = np.isin(numbers(last, "row_no"), numbers(last, "row_no")[numbers(last, "copy_no") > 0])
    assert ((numbers(last, "at_us") >= mixed.switch_us - 6 * HOUR_US) == is_copied).all()
    streamed = delivery.is_streamed(last, mixed)
    assert (streamed == (numbers(last, "copy_no") > 0)).all()


def test_what_is_not_there_at_the_end_is_late():
    own = lines(day=29)
    delivered = delivery.deliver([own], law(gaps_per_month=0), day=29)
    ends = EPOCH_US + 30 * DAY_US
    is_late = words(delivered, "withheld_reason") == "late"
    assert is_late.sum() > 0
    assert (is_late == (numbers(delivered, "available_at_us") >= ends)).all()
    assert reasons(delivered) == {"late"}


def test_an_outage_loses_one_region_of_one_stream_for_its_time():
    own = law(gaps_per_month=0)
    gap = delivery.Gap("ual_exchange", 1, EPOCH_US + 5 * HOUR_US, EPOCH_US + 8 * HOUR_US)
    broken = type(own)(**{name: getattr(own, name) for name in own.__slots__} | {"gaps": (gap,)})
    delivered = delivery.deliver([lines(), lines("ual_entra")], broken, day=0)
    lost = delivered.filter(pa.array(words(delivered, "withheld_reason") == "gap"))
    assert set(words(lost, "stream")) == {"ual_exchange"}
    at = numbers(lost, "at_us")
    assert at.min() >= gap.from_us
    assert at.max() < gap.until_us
    share = lost.num_rows / ((lines().at_us >= gap.from_us) & (lines().at_us < gap.until_us)).sum()
    assert 0.1 < share < 0.7


def test_the_options_withhold_their_streams():
    every = [lines(stream, 50) for stream in tables.STREAMS]
    kept = {}
    for logs in delivery.LOGS:
        delivered = delivery.deliver(every, law(logs, gaps_per_month=0), day=0)
        given = delivered.filter(pa.array(words(delivered, "withheld_reason") != "option"))
        kept[logs] = set(words(given, "stream"))
    everything = set(tables.STREAMS)
    assert kept["full"] == kept["gappy"] == everything
    assert kept["no-noninteractive"] == everything - {"non_interactive"}
    assert kept["ual-only"] == {"ual_exchange", "ual_entra", "ual_general"}


def test_a_gappy_drill_loses_about_a_third():
    own = law("gappy", days=200, gaps_per_month=0)
    lost = total = 0
    for day in range(0, 200, 10):
        delivered = delivery.deliver([lines(rows=500, day=day)], own, day=day)
        first = delivered.filter(pa.array(numbers(delivered, "copy_no") == 0))
        lost += int((words(first, "withheld_reason") == "gap").sum())
        total += first.num_rows
    assert 0.2 < lost / total < 0.4


def test_a_partial_stream_misses_whole_days():
    own = law(non_interactive_missing=1, gaps_per_month=0)
    missing = [
        reasons(delivery.deliver([lines("non_interactive", 40, day)], own, day=day)) == {"option"} for day in range(25)
    ]
    assert 5 < sum(missing) < 20


def test_the_same_day_is_delivered_alike_whatever_else_was():
    own = law()
    together = delivery.deliver([lines(), lines("interactive")], own, day=0)
    alone = delivery.deliver([lines("interactive")], own, day=0)
    of_sign_ins = together.filter(pa.array(words(together, "stream") == "interactive"))
    assert of_sign_ins.to_pydict() == alone.to_pydict()


def test_no_lines_give_an_empty_table():
    assert delivery.deliver([], law(), day=0).num_rows == 0
