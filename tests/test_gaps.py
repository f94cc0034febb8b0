"""Outages are found, and nights, weekends and slow days are no outages."""

import datetime as dt

import ibis
import numpy as np
import pytest

from brokenseal import schema
from brokenseal.gaps import find_gaps, gaps_of, hourly_counts
from brokenseal.model import Gap
from support import make_tables

HOUR = dt.timedelta(hours=1)
MONDAY = dt.datetime(2025, 3, 3, tzinfo=dt.UTC)
WEDNESDAY = dt.datetime(2025, 3, 5, tzinfo=dt.UTC)


def office(seed, days, *, busy=30.0, quiet=0.1, day_size=None, hour_size=None, start=WEDNESDAY):
    """Records per hour of an office: busy from Monday to Friday, 7 to 18 o'clock; days or hours can scatter."""
    random = np.random.default_rng(seed)
    hours = {}
    for day in range(days):
        of_day = random.gamma(day_size, 1 / day_size) if day_size else 1.0
        for hour in range(24):
            moment = start + day * 24 * HOUR + hour * HOUR
            rate = (busy if moment.weekday() < 5 and 7 <= hour < 18 else quiet) * of_day
            rate *= random.gamma(hour_size, 1 / hour_size) if hour_size else 1.0
            records = int(random.poisson(rate))
            if records:
                hours[moment] = records
    return hours


def without(hours, start, length):
    """The series with an outage."""
    return {hour: records for hour, records in hours.items() if not start <= hour < start + length * HOUR}


OFFICES = [
    {},
    {"day_size": 10},
    {"day_size": 3},
    {"hour_size": 2},
    {"busy": 4, "quiet": 0.5},
    {"quiet": 0},
    {"quiet": 3},
    {"busy": 300, "quiet": 30, "day_size": 5},
]


@pytest.mark.parametrize("shape", OFFICES, ids=str)
def test_ordinary_weeks_show_no_gap(shape):
    """200 series a shape, of every length from ten days to ten weeks: none of them has an outage."""
    for seed in range(40):
        for days in (10, 15, 22, 31, 70):
            assert find_gaps("log", office(seed, days, **shape)) == ()


@pytest.mark.parametrize("shape", [shape for shape in OFFICES if shape.get("day_size") != 3], ids=str)
@pytest.mark.parametrize("length", [6, 12, 24])
def test_an_outage_in_working_hours_is_found(shape, length):
    random = np.random.default_rng(length)
    found = 0
    for seed in range(40):
        day = int(random.choice([8, 9, 12, 13, 14]))  # Thursday, Friday, Monday to Wednesday of a middle week
        outage = WEDNESDAY + day * 24 * HOUR + 8 * HOUR
        gaps = find_gaps("log", without(office(seed, 40, **shape), outage, length))
        assert len(gaps) < 2
        # The hours of the night that follow are as empty as they always are, so only the working day must be covered.
        found += bool(gaps) and gaps[0].first_at <= outage + HOUR and gaps[0].last_at >= outage + min(length, 9) * HOUR

    assert found >= 38, f"{found} of 40"


def test_a_gap_says_from_when_to_when_and_what_was_expected():
    hours = {MONDAY + n * HOUR: 10 for n in range(24 * 35)}
    outage = MONDAY + (24 * 15 + 5) * HOUR

    gaps = find_gaps("log", without(hours, outage, 7))

    assert gaps == (Gap(source="log", first_at=outage, last_at=outage + 7 * HOUR, expected_records=70.0),)


def test_two_outages_are_two_gaps_in_order():
    hours = {MONDAY + n * HOUR: 10 for n in range(24 * 35)}
    first, second = MONDAY + 24 * 10 * HOUR, MONDAY + 24 * 11 * HOUR

    gaps = find_gaps("log", without(without(hours, second, 8), first, 6))

    assert [(gap.first_at, gap.last_at) for gap in gaps] == [
        (first, first + 6 * HOUR),
        (second, second + 8 * HOUR),
    ]


def test_an_outage_of_more_than_a_week_is_one_gap():
    hours = {MONDAY + n * HOUR: 10 for n in range(24 * 70)}
    outage = MONDAY + 24 * 20 * HOUR

    (gap,) = find_gaps("log", without(hours, outage, 24 * 9))

    assert (gap.first_at, gap.last_at) == (outage, outage + 24 * 9 * HOUR)


def test_between_two_and_three_weeks_only_what_runs_day_and_night_can_show_a_gap():
    outage = WEDNESDAY + (24 * 8 + 8) * HOUR

    steady = [find_gaps("log", without(office(seed, 16, quiet=30), outage, 12)) for seed in range(20)]

    assert [[(gap.first_at, gap.last_at) for gap in gaps] for gaps in steady] == [[(outage, outage + 12 * HOUR)]] * 20
    assert find_gaps("log", without(office(1, 16), outage, 12)) == ()


def test_below_two_weeks_nothing_is_said():
    outage = WEDNESDAY + (24 * 8 + 8) * HOUR

    assert find_gaps("log", without(office(1, 13, quiet=30), outage, 12)) == ()


def test_before_the_first_and_after_the_last_record_nothing_is_said():
    hours = office(1, 40)

    assert find_gaps("log", without(without(hours, WEDNESDAY, 24 * 3), WEDNESDAY + 24 * 30 * HOUR, 24 * 10)) == ()
    assert find_gaps("log", {}) == ()
    assert find_gaps("log", {MONDAY: 5}) == ()


def test_a_record_from_another_age_neither_makes_a_gap_nor_hides_one():
    hours = {MONDAY + n * HOUR: 10 for n in range(24 * 35)}
    outage = MONDAY + 24 * 15 * HOUR
    absurd = {dt.datetime(1970, 1, 1, tzinfo=dt.UTC): 1, dt.datetime(9999, 12, 31, 23, tzinfo=dt.UTC): 1}

    (gap,) = find_gaps("log", absurd | without(hours, outage, 8))

    assert (gap.first_at, gap.last_at) == (outage, outage + 8 * HOUR)


def test_counts_are_by_source_and_sign_ins_by_category():
    half_past = MONDAY + dt.timedelta(minutes=30)
    tables = make_tables(
        {
            "events": [
                {"event_id": "u1", "source": "unified_audit", "occurred_at": MONDAY},
                {"event_id": "u2", "source": "unified_audit", "occurred_at": half_past},
                {"event_id": "u3", "source": "unified_audit", "occurred_at": MONDAY + HOUR},
                {"event_id": "s1", "source": "entra_sign_in", "occurred_at": MONDAY},
            ],
            "sign_ins": [{"event_id": "s1", "category": "interactive", "occurred_at": half_past}],
            "mail_accesses": [{"event_id": "u1", "occurred_at": half_past}],
            "config_changes": [{"event_id": "u2", "occurred_at": MONDAY}],
        }
    )

    rows = {(row["source"], row["hour"]): row["records"] for row in hourly_counts(tables).to_pyarrow().to_pylist()}

    naive = MONDAY.replace(tzinfo=None)
    assert rows == {
        ("unified_audit", naive): 2,
        ("unified_audit", naive + HOUR): 1,
        ("sign_in.interactive", naive): 1,
        ("mail_access", naive): 1,
        ("configuration", naive): 1,
    }


def test_the_gaps_of_a_store_are_by_source():
    hours = without({MONDAY + n * HOUR: 12 for n in range(24 * 25)}, MONDAY + 24 * 9 * HOUR, 6)
    rows = [
        {"event_id": f"{hour}-{n}", "source": "unified_audit", "occurred_at": hour}
        for hour, records in hours.items()
        for n in range(records)
    ]

    gaps = gaps_of(make_tables({"events": rows}))

    assert {source: [gap.first_at for gap in found] for source, found in gaps.items()} == {
        "unified_audit": [MONDAY + 24 * 9 * HOUR]
    }


def test_the_counts_compile_for_spark():
    tables = {table.name: ibis.table(table.ibis_schema(), name=table.name) for table in schema.TABLES}

    assert "DATE_TRUNC" in ibis.to_sql(hourly_counts(tables), dialect="pyspark")
