"""B13: two sign-ins of one user so far apart that nobody travels so fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.baselines._alerts import Baseline, as_alerts, rows_of, unite
from brokenseal.baselines._graph import USER_SIGN_INS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {
    "sign_ins": (
        "event_id",
        "occurred_at",
        "tenant_id",
        "category",
        "actor_key",
        "client_ip",
        "succeeded",
        "country",
    )
}

PLACES: Final = {
    "AE": (24, 54), "AR": (-34, -64), "AT": (47, 14), "AU": (-25, 134), "BE": (51, 4), "BG": (43, 25), "BR": (-10, -53),
    "CA": (57, -98), "CH": (47, 8), "CL": (-32, -71), "CN": (36, 104), "CO": (4, -73), "CZ": (50, 15), "DE": (51, 10),
    "DK": (56, 10), "EE": (59, 25), "EG": (27, 30), "ES": (40, -4), "FI": (64, 26), "FR": (47, 2), "GB": (54, -2),
    "GR": (39, 22), "HK": (22, 114), "HU": (47, 19), "ID": (-2, 118), "IE": (53, -8), "IL": (31, 35), "IN": (22, 79),
    "IR": (32, 54), "IT": (43, 12), "JP": (37, 138), "KE": (1, 38), "KR": (36, 128), "LT": (55, 24), "LU": (50, 6),
    "LV": (57, 25), "MA": (32, -6), "MX": (24, -102), "MY": (4, 109), "NG": (9, 8), "NL": (52, 5), "NO": (64, 14),
    "NZ": (-42, 172), "PH": (12, 123), "PK": (30, 69), "PL": (52, 19), "PT": (40, -8), "RO": (46, 25), "RS": (44, 21),
    "RU": (60, 90), "SA": (24, 45), "SE": (62, 16), "SG": (1, 104), "TH": (15, 101), "TR": (39, 35), "UA": (49, 32),
    "US": (39, -98), "VN": (16, 107), "ZA": (-29, 25),
}  # fmt: skip
"""The middle of each country in whole degrees (latitude, longitude), read off a map."""
_EARTH_KM: Final = 6371


def alerts(tables: Tables, *, km_per_hour: int, places: Mapping[str, tuple[int, int]]) -> ir.Table:
    """The second of each two consecutive sign-ins in different countries that no aeroplane lies between."""
    rows = rows_of(tables, READS, "sign_ins")
    rows = rows.filter(
        rows.category.isin(USER_SIGN_INS),
        rows.succeeded.fill_null(ibis.literal(value=False)),
        rows.actor_key.notnull(),
        rows.occurred_at.notnull(),
        rows.country.isin(tuple(places)),
    )
    rows = rows.mutate(
        tenant=rows.tenant_id.fill_null(""),
        latitude=rows.country.cases(*((code, place[0]) for code, place in places.items())).cast("int64"),
        longitude=rows.country.cases(*((code, place[1]) for code, place in places.items())).cast("int64"),
    )
    by_hand = rows.filter(rows.category == "interactive")
    return unite([_fast(rows, "B13", km_per_hour), _fast(by_hand, "B13-interactive", km_per_hour)])


def _fast(rows: ir.Table, rule: str, km_per_hour: int) -> ir.Table:
    in_order = ibis.window(group_by=[rows.tenant, rows.actor_key], order_by=[rows.occurred_at, rows.event_id])
    rows = rows.mutate(
        **{
            f"{name}_before": rows[name].lag(1).over(in_order)
            for name in ("client_ip", "occurred_at", "latitude", "longitude")
        }
    )
    rows = rows.filter(rows.client_ip != rows.client_ip_before)
    rows = rows.mutate(gap_s=ibis.greatest(rows.occurred_at.delta(rows.occurred_at_before, unit="second"), 1))
    rows = rows.mutate(speed=_km(rows) * 3600 // rows.gap_s)
    rows = rows.filter(rows.speed > km_per_hour)
    return as_alerts(rows, rule=rule, subject=rows.actor_key, mailbox=rows.actor_key, score=rows.speed * 1000)


def _km(rows: ir.Table) -> ir.IntegerValue:
    """Whole kilometres between the two places, along the sphere (haversine)."""
    here, there = rows.latitude.radians(), rows.latitude_before.radians()
    up = ((here - there) / 2).sin()
    across = ((rows.longitude - rows.longitude_before).radians() / 2).sin()
    chord = up * up + here.cos() * there.cos() * across * across
    # Of antipodes, rounding can make a little more than 1.
    return (ibis.least(chord, 1).sqrt().asin() * (2 * _EARTH_KM)).round().cast("int64")


BASELINE = Baseline(
    id="B13",
    title="Travel faster than an aeroplane",
    rules={
        "B13": "consecutive sign-ins from two addresses more than 900 km/h apart",
        "B13-interactive": "the same among interactive sign-ins alone",
    },
    parameters={"km_per_hour": 900, "places": PLACES},
    source="The common rule of sign-in monitoring (impossible or atypical travel)",
    leaves_out="There is no geolocation database: a place is the middle of the country that the sign-in log resolved. "
    "Travel within a country is not seen, neighbouring countries are taken for further apart than a border is, and "
    "sign-ins without a country (all of the audit log's own) are left out. Programs that sign in by themselves from a "
    "gateway abroad make the rule nearly useless, so that B14 uses it among interactive sign-ins, in its favour.",
    reads=READS,
    alerts=alerts,
)
