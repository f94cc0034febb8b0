"""Small campaigns and made-up results that the tests of the replay share."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pyarrow.parquet as pq

from brokenseal.drill import _replay_campaign as campaign
from brokenseal.drill._replay_collect import Place, arrivals_of
from brokenseal.drill._replay_watch import Found

MONDAY = dt.date(2023, 5, 15)
NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def organisation(number: int = 1, **changed) -> campaign.Organisation:
    """One small victim, read on Monday and Tuesday."""
    values = {
        "number": number,
        "name": f"Organisation {number}",
        "countries": campaign.US,
        "mailboxes": 10,
        "victims": 2,
        "messages": 200,
        "first_day": MONDAY,
        "last_day": MONDAY + dt.timedelta(days=1),
        "has_reads_2023": True,
    }
    return campaign.Organisation(**{**values, **changed})


def small(*organisations: campaign.Organisation, history_days: int = 16) -> campaign.Campaign:
    """A campaign of two days of reading and one to follow."""
    return campaign.Campaign(
        name="small",
        ends=MONDAY + dt.timedelta(days=3),
        history_days=history_days,
        records_per_day=20.0,
        organisations=organisations or (organisation(),),
    )


FOUND = Found(
    number=1,
    name="First",
    epoch=2023,
    has_reads=True,
    mailboxes=10,
    mailboxes_read=2,
    first_read_at=dt.datetime(2023, 5, 15, 0, 30, tzinfo=dt.UTC),
    last_read_at=dt.datetime(2023, 6, 16, 8, tzinfo=dt.UTC),
    messages_read=1200,
    intruder_records=90,
    log_records=5000,
    mailbox_weeks=50.0,
    watched_until=dt.datetime(2023, 6, 19, tzinfo=dt.UTC),
    opened_at=dt.datetime(2023, 5, 15, 2, tzinfo=dt.UTC),
    opened_by=("a.detector",),
    messages_before=30,
    mailboxes_found=1,
    true_cases=1,
    false_cases=3,
    certain=600,
    certain_right=590,
    possible=40,
    possible_right=10,
    unknowable=0,
    hours_judged=4,
)


def missed(**changed) -> Found:
    """The same organisation, not found."""
    nothing = dict.fromkeys(
        ("mailboxes_found", "true_cases", "certain", "certain_right", "possible", "possible_right"), 0
    )
    return dataclasses.replace(FOUND, opened_at=None, opened_by=(), messages_before=None, **{**nothing, **changed})


def place_of(output, number, epoch=2023):
    """Folders of one organisation of a written replay."""
    return Place(root=output / str(epoch) / f"{number:02d}")


def readable(place, hour):
    """The lines that could be read at an hour, file by file."""
    for name, steps in arrivals_of(place.collected).items():
        lines = (place.collected / name).read_bytes().splitlines(keepends=True)
        yield name, lines[: max((int(count) for at, count in steps if at <= hour), default=0)]


def truth(place, name):
    """Rows of one table of the truth."""
    return pq.read_table(place.truth / f"{name}.parquet").to_pylist()
