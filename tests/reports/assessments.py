"""Judgements of cases for reports: one as the product writes it, and one whose every text is an attack."""

import datetime as dt

from brokenseal.judged import Alternative, Assessment, EvidencePart, UnitWeight
from brokenseal.likelihood import Ratio, likelihoods
from brokenseal.wording import phrase

AT = dt.datetime(2024, 5, 26, 2, 0, 3, tzinfo=dt.UTC)
ANNA = "anna.lindqvist@contoso.example"
EVENTS = ("6b0ecd5c-0000-0000-0000-0000000003e8", "6b0ecd5c-0000-0000-0000-0000000003f2")


def part(detector_id, state="fired", name=None, **values):
    fields = {"reason": None, "f0_upper_ppb": 47_000 if name else None, "n_reference": 64_000 if name else 0}
    fields |= {"basis": "calibration" if name else "none", "is_assumed": False}
    return EvidencePart(detector_id=detector_id, state=state, bin=name, **{**fields, **values})


def unit(event_id, standing, millibans, parts, **values):
    fields = {"mailbox": ANNA, "actor": ANNA, "app": "27922004-5251-4030-b22d-91ecd9a37ea4|rest"}
    fields |= {"network": "asn:64500", "agent": "other", "is_door": False, "records": 40}
    return UnitWeight(
        unit=event_id, standing=standing, millibans=millibans, parts=parts, first_at=AT,
        last_at=AT + dt.timedelta(hours=3), **{**fields, **values},
    )  # fmt: skip


def rich_assessment(events=EVENTS):
    """Two kinds of evidence, three fates of innocent explanations, an open door."""
    fired = (part("token.provenance", name="orphan"), part("mail_access.stranger_client", name="22+"))
    return Assessment(
        millibans=6_900,
        threshold_millibans=5_800,
        budget_per_billion=50_000,
        likelihoods=likelihoods(Ratio(log10=4.2, low=3.4, high=4.9, is_thin=False)),
        confidence="moderate",
        confidence_reasons=(
            phrase("{n} independent kinds of evidence point the same way.", n=2),
            phrase("The logs have {n} gap(s) while the case lasted.", n=1),
        ),
        units=(unit(events[0], "opens", 6_900, fired), unit(events[1], "follows", -300, (part("x", "quiet"),))),
        n_units=14,
        alternatives=(
            Alternative(
                name=phrase("A new telephone or computer of the owner"),
                result="refuted",
                because=phrase(
                    "{account} had not used {network} before that week, and no sign-in by hand from there is on record "
                    "in it; a new device would have left one.",
                    account=ANNA,
                    network="asn:64500",
                ),
                event_ids=(events[0],),
            ),
            Alternative(
                name=phrase("A roll-out of the application"),
                result="supported",
                because=phrase(
                    "{n} other mailbox(es) took up the application {app} within a week of it; all of them, and this "
                    "one, from networks that they had used before.",
                    n=1_204,
                    app="27922004-5251-4030-b22d-91ecd9a37ea4",
                ),
                event_ids=events,
            ),
            Alternative(
                name=phrase("A security test that the organisation ordered"),
                result="cannot_tell",
                because=phrase("No record can tell; ask those who may order one."),
            ),
        ),
        assumptions=(phrase("Given how strange the client is, the kinds of evidence are taken to be independent."),),
        refutes=(phrase("The missing sign-in turns up in another export, another category or another tenant."),),
        collection=(
            phrase("Export the non-interactive sign-ins from {since} on: most tokens are issued there.", since=AT),
        ),
        doors_open=(phrase("The rule {rule} of {at} still works.", rule=".", at=AT),),
        made_with={"product": "0.1.0", "calibration": "simulated tenants"},
    )


def hostile_assessment(texts):
    """Every field that can hold log text holds one of these, all of them somewhere."""
    said = tuple(phrase("{text}", text=text) for text in texts)
    units = tuple(
        unit(text, "cited", 1, (part(text, name=text),), mailbox=text, actor=text, app=text, network=text, agent=text)
        for text in texts
    )
    return Assessment(
        millibans=1,
        threshold_millibans=1,
        budget_per_billion=1,
        likelihoods=likelihoods(Ratio(log10=0.0, low=-1.0, high=1.0, is_thin=True)),
        confidence="low",
        confidence_reasons=said,
        units=units,
        n_units=len(units),
        alternatives=tuple(
            Alternative(name=phrase("A"), result="cannot_tell", because=sentence, event_ids=texts) for sentence in said
        ),
        assumptions=said,
        refutes=said,
        collection=said,
        doors_open=said,
        made_with={"calibration": texts[0]},
    )
