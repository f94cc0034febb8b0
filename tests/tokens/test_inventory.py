from __future__ import annotations

import datetime as dt

import pytest

from brokenseal.tokens.inventory import Family, Overlap, Standing, family_of, inventory
from brokenseal.tokens.key_documents import read_keys
from brokenseal.wording import say
from token_maker import ABSENT, AT, CONSUMER, OTHER, V2, public_jwk, x5c

DAY = dt.timedelta(days=1)


def taken(keys, rows=()):
    return inventory(read_keys({"d": {"keys": keys}}, usage={"keys": list(rows)}), at=AT)


def warnings_of(found):
    return [say(sentence, "en") for sentence in found.warnings]


def test_the_key_of_2023_stands_out():
    """A consumer key made in 2016, its certificate ended in 2021, still published."""
    dates = dt.datetime(2016, 4, 5, tzinfo=dt.UTC), dt.datetime(2021, 4, 4, tzinfo=dt.UTC)
    found = taken([public_jwk("ended", issuer=CONSUMER, x5c=x5c("ended", *dates))])
    (row,) = found.keys

    assert (row.family, row.standing, row.is_still_trusted) == (Family.CONSUMER, Standing.CERTIFICATE_ENDED, True)
    assert (*dates, 3344) == (row.since, row.until, row.age_days)
    assert row.key_type == "RSA 2048"
    assert "anybody in any organisation, at a service that does not compare a key's issuer" in say(row.reach, "en")
    assert warnings_of(found) == [
        "ended is still published, and its certificate ended 2021-04-04 00:00:00 UTC: this is how the key of 2023 stood."
    ]


@pytest.mark.parametrize(
    ("row", "standing", "trusted", "warning"),
    [
        ({}, Standing.IN_USE, False, []),
        ({"published": "2025-05-01"}, Standing.IN_USE, False, []),
        ({"published": "2024-05-31"}, Standing.IN_USE, False, ["home is 366 days old and in use."]),
        ({"published": "2025-07-01"}, Standing.NOT_YET, False, []),
        ({"retired": "2025-05-01"}, Standing.RETIRED, True, ["home is retired since 2025-05-01 00:00:00 UTC and still published."]),
        ({"retired": "2025-07-01"}, Standing.IN_USE, False, []),
        ({"revoked": "2025-05-01", "retired": "2025-04-01"}, Standing.REVOKED, True, ["home is revoked since 2025-05-01 00:00:00 UTC and still published."]),
    ],
)  # fmt: skip
def test_a_key_stands_where_its_dates_put_it(row, standing, trusted, warning):
    found = taken([public_jwk("home")], [{"kid": "home", **row}] if row else [])

    assert (standing, trusted) == (found.keys[0].standing, found.keys[0].is_still_trusted)
    assert warning == warnings_of(found)


@pytest.mark.parametrize(
    ("issuer", "family"),
    [
        (V2, Family.ENTERPRISE),
        (CONSUMER, Family.CONSUMER),
        (V2.replace("{tenantid}", OTHER), Family.ONE_ISSUER),
        ("https://idp.example", Family.ONE_ISSUER),
        (None, Family.UNKNOWN),
    ],
)
def test_a_family_is_told_by_the_issuer_alone(issuer, family):
    assert family is family_of(issuer)


def test_what_a_thief_could_do_follows_from_the_family():
    found = taken(
        [
            public_jwk("home"),
            public_jwk("other", issuer=V2.replace("{tenantid}", OTHER)),
            public_jwk("unbound", issuer=ABSENT),
            public_jwk("weak-key"),
        ]
    )

    assert [say(row.reach, "en") for row in found.keys] == [
        "Its thief could be any user or application of any organisation, at every service that accepts this issuer.",
        "Its thief could be anybody of this one issuer; and of any other, at a service that does not compare a key's issuer.",
        "Nobody can say: its document does not tell for which issuer it is published.",
        "Nothing at a verifier that refuses keys like it.",
    ]
    assert warnings_of(found) == [
        "unbound: d does not say for which issuer it is published; no verifier can check its binding."
    ]
    assert found.keys[3].key_type == "RSA 1024"


def test_tenants_and_flaws_are_kept():
    found = taken([public_jwk("home", d="x")], [{"kid": "home", "tenants": ["t1", "t2"]}])
    (row,) = found.keys

    assert row.tenants == ("t1", "t2")
    assert row.algorithms == ()
    assert [say(flaw, "en") for flaw in row.flaws] == [
        "The document publishes the private key as well, so that everybody who read it can sign: it verifies nothing."
    ]


def test_keys_that_are_good_at_the_same_time_overlap():
    rows = [
        {"kid": "home", "published": "2025-01-01", "retired": "2025-03-01"},
        {"kid": "other", "published": "2025-02-01"},
        {"kid": "retired", "published": "2025-05-01"},
        {"kid": "consumer", "published": "2025-02-01"},
    ]
    found = taken(
        [public_jwk(kid) for kid in ("retired", "other", "home")] + [public_jwk("consumer", issuer=CONSUMER)], rows
    )

    assert (
        Overlap(issuer=V2, older="home", newer="other", days=28),
        Overlap(issuer=V2, older="other", newer="retired", days=None),
    ) == found.overlaps


def test_keys_that_follow_each_other_and_one_key_under_two_ids_do_not_overlap():
    rows = [
        {"kid": "home", "published": "2025-01-01", "retired": "2025-02-01"},
        {"kid": "again", "published": "2025-01-01", "retired": "2025-02-01"},
        {"kid": "other", "published": "2025-02-01"},
    ]

    assert taken([public_jwk("home"), public_jwk("home", kid="again"), public_jwk("other")], rows).overlaps == ()


def test_one_id_for_two_issuers_and_one_key_for_two_issuers_are_warned_of():
    shared_id = taken([public_jwk("home", kid="k"), public_jwk("consumer", kid="k", issuer=CONSUMER)])
    shared_key = taken([public_jwk("home"), public_jwk("home", kid="again", issuer=CONSUMER)])

    assert [
        f"The id k stands for several issuers: {CONSUMER}, {V2}. A verifier that looks keys up by id alone takes either."
    ] == warnings_of(shared_id)
    assert [
        "One key is published under several ids: again, home.",
        f"The key again is published for several issuers: {CONSUMER}, {V2}. It can speak for all of them.",
    ] == warnings_of(shared_key)


def test_one_key_in_two_documents_is_warned_of_once():
    document = {"keys": [public_jwk("home")]}
    usage = {"keys": [{"kid": "home", "revoked": "2025-01-01"}]}
    found = inventory(read_keys({"a": document, "b": document}, usage=usage), at=AT)

    assert warnings_of(found) == ["home is revoked since 2025-01-01 00:00:00 UTC and still published."]
    assert [row.document for row in found.keys] == ["a", "b"]
