"""Passwords tried on many accounts, and the accounts on which one fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.detectors._hits import DAY_S, HOUR_S, as_hits, rows_of, together
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {
    "sign_ins": (
        "event_id",
        "occurred_at",
        "actor_key",
        "client_ip",
        "ip_class",
        "user_agent",
        "session_id",
        "request_id",
        "succeeded",
        "error_code",
    ),
    "mail_accesses": (
        "event_id",
        "occurred_at",
        "mailbox_upn",
        "actor_key",
        "client_ip",
        "ip_class",
        "session_id",
    ),
}

WRONG_PASSWORD = (50126, 50053, 50055, 50056)
"""Wrong name or password, locked, expired, none set (Microsoft Entra error codes). Interrupts for MFA or consent, such
as 50072, 50074, 50076, 50125, 65001 and 50011, come after a right password or without any, and are no tries."""
SILENCE_S = HOUR_S
"""So long without a try from one address and user agent ends a burst."""
SPRAYED_ACCOUNTS = 4
TRIES_PER_ACCOUNT = 20
"""On average at most so many tries per account make a spray; from so many on one account it is brute force."""
GUESS_S = DAY_S
"""A success counts as guessed until so long after the burst, and reads until so long after the success."""


def find(tables: Tables) -> ir.Table:
    """Sprays and brute force by burst, guessed accounts by account and address."""
    tries, successes = _tries(tables), _successes(tables)
    sprays = tries.filter(tries.is_spray)
    forced = tries.filter(_is_forced(tries))
    return together(
        _failures(sprays, "spray"),
        _failures(forced, "brute_force"),
        _guessed(tries, _guesses(tries, successes), tables),
    )


def _is_forced(tries: ir.Table) -> ir.BooleanValue:
    return ~tries.is_spray & (tries.account_tries >= TRIES_PER_ACCOUNT)


def _placed(tables: Tables) -> ir.Table:
    """Sign-ins of a known account at a public address; Microsoft's addresses are nobody's own."""
    sign_ins = rows_of(tables, READS, "sign_ins")
    sign_ins = sign_ins.filter(
        sign_ins.client_ip.notnull(), sign_ins.ip_class == "public", sign_ins.actor_key.notnull()
    )
    return sign_ins.mutate(agent=sign_ins.user_agent.fill_null(""))


def _successes(tables: Tables) -> ir.Table:
    sign_ins = _placed(tables)
    return sign_ins.filter(sign_ins.succeeded.fill_null(ibis.literal(value=False)))


def _failures(tries: ir.Table, variant: str) -> ir.Table:
    return as_hits(
        tries,
        group_key=tries.client_ip.concat(" ", tries.burst),
        variant=variant,
        role="failure",
        about=tries.actor_key,
    )


def _tries(tables: Tables) -> ir.Table:
    """Wrong passwords in bursts.

    Returns: Sign-in columns with `burst` (the event id it began with), `burst_end`, `account_tries` in the burst and
        `is_spray`: enough accounts, few tries each, and not half of the accounts at home there. People who mistype
        at the office have signed in from it before, or do so within the hour; the sprayed mostly have not.
    """
    sign_ins, successes = _placed(tables), _successes(tables)
    wrong = sign_ins.filter(
        sign_ins.error_code.isin(WRONG_PASSWORD), ~sign_ins.succeeded.fill_null(ibis.literal(value=False))
    )
    in_order = ibis.window(group_by=[wrong.client_ip, wrong.agent], order_by=[wrong.occurred_at, wrong.event_id])
    gap_s = wrong.occurred_at.delta(wrong.occurred_at.lag().over(in_order), unit="second")
    wrong = wrong.mutate(begins=(gap_s > SILENCE_S).fill_null(ibis.literal(value=True)))
    so_far = ibis.window(
        group_by=[wrong.client_ip, wrong.agent],
        order_by=[wrong.occurred_at, wrong.event_id],
        preceding=None,
        following=0,
    )
    wrong = wrong.mutate(number=wrong.begins.cast("int64").sum().over(so_far))
    burst = ibis.window(group_by=[wrong.client_ip, wrong.agent, wrong.number])
    wrong = wrong.mutate(
        burst=ibis.ifelse(wrong.begins, wrong.event_id, ibis.null("string")).max().over(burst),
        # One sign-in stands in two logs under two event ids and one request id.
        attempt=wrong.request_id.fill_null(wrong.event_id),
    ).drop("begins", "number")
    bursts = wrong.group_by("burst").aggregate(
        burst_end=wrong.occurred_at.max(),
        accounts=wrong.actor_key.nunique(),
        attempts=wrong.attempt.nunique(),
    )
    accounts = wrong.group_by(account_burst=wrong.burst, account=wrong.actor_key, address=wrong.client_ip).aggregate(
        account_tries=wrong.attempt.nunique(), first_try=wrong.occurred_at.min()
    )
    at_home = _at_home(accounts, bursts, successes)
    bursts = bursts.left_join(at_home, bursts.burst == at_home.home_burst).drop("home_burst")
    spray = (
        (bursts.accounts >= SPRAYED_ACCOUNTS)
        & (bursts.attempts <= bursts.accounts * TRIES_PER_ACCOUNT)
        & (bursts.n_home.fill_null(0) * 2 <= bursts.accounts)
    )
    bursts = bursts.select(known_burst=bursts.burst, burst_end=bursts.burst_end, is_spray=spray)
    wrong = wrong.inner_join(bursts, wrong.burst == bursts.known_burst).drop("known_burst")
    return wrong.inner_join(
        accounts, [wrong.burst == accounts.account_burst, wrong.actor_key == accounts.account]
    ).drop("account_burst", "account", "address")


def _at_home(accounts: ir.Table, bursts: ir.Table, successes: ir.Table) -> ir.Table:
    """Per burst, how many of its accounts signed in from its address, ever before or within an hour after it."""
    tried = accounts.inner_join(bursts.select("burst", "burst_end"), accounts.account_burst == bursts.burst)
    homes = _homes(successes)
    tried = tried.inner_join(homes, [tried.account == homes.home_account, tried.address == homes.home_address])
    tried = tried.filter(tried.since.delta(tried.burst_end, unit="second") <= SILENCE_S)
    return tried.group_by(home_burst=tried.account_burst).aggregate(n_home=tried.account.nunique())


def _homes(successes: ir.Table) -> ir.Table:
    """Since when each account has signed in from each address."""
    return successes.group_by(home_account=successes.actor_key, home_address=successes.client_ip).aggregate(
        since=successes.occurred_at.min()
    )


def _guesses(tries: ir.Table, successes: ir.Table) -> ir.Table:
    """Successes of accounts that were tried, from the same address, each with the burst (`burst`) it followed.

    A success counts where the account had never signed in from the address before the tries began, since whoever
    mistypes at home is not guessed. After a spray it counts as well where it came with the user agent of the tries;
    after tries on one account it does not, because a device with an old password is given the new one.
    """
    telling = tries.filter(tries.is_spray | _is_forced(tries))
    tried = telling.select(
        burst=telling.burst,
        account=telling.actor_key,
        address=telling.client_ip,
        try_agent=telling.agent,
        is_spray=telling.is_spray,
        first_try=telling.first_try,
        burst_end=telling.burst_end,
    ).distinct()
    won = successes.inner_join(tried, [successes.actor_key == tried.account, successes.client_ip == tried.address])
    won = won.filter(
        won.occurred_at > won.first_try,
        won.occurred_at.delta(won.burst_end, unit="second") <= GUESS_S,
    )
    homes = _homes(successes)
    won = won.inner_join(homes, [won.account == homes.home_account, won.address == homes.home_address])
    return won.filter((won.is_spray & (won.agent == won.try_agent)) | (won.since >= won.first_try))


def _guessed(tries: ir.Table, guesses: ir.Table, tables: Tables) -> ir.Table:
    """Guessed accounts with the tries on them and their first day of mail accesses, by account and address."""
    failures = tries.semi_join(guesses, [tries.burst == guesses.burst, tries.actor_key == guesses.account])
    reads = _reads(guesses, tables)
    hits = together(
        *(
            as_hits(
                rows,
                group_key=rows.actor_key.concat(" ", rows.client_ip),
                variant="guessed_account",
                role=role,
                about=rows.actor_key,
            )
            for rows, role in ((guesses, "success"), (failures, "failure"), (reads, "read"))
        )
    )
    has_read = (hits.role == "read").any().over(ibis.window(group_by=hits.group_key))
    return hits.mutate(variant=ibis.ifelse(has_read, "guessed_account_then_mail", "guessed_account"))


def _reads(guessed: ir.Table, tables: Tables) -> ir.Table:
    """Mail accesses by a guessed account from the guesser's address, within a day after a success."""
    wins = guessed.select("account", "address", won_at=guessed.occurred_at).distinct()
    accesses = rows_of(tables, READS, "mail_accesses")
    reads = accesses.inner_join(wins, [accesses.actor_key == wins.account, accesses.client_ip == wins.address])
    delay_s = reads.occurred_at.delta(reads.won_at, unit="second")
    reads = reads.filter((delay_s >= 0) & (delay_s <= GUESS_S))
    return reads.select(*accesses.columns).distinct()


_INNOCENT = phrase(
    "The address may be the exit of an office, a network operator or a VPN that many people share, or a test of the "
    "house against weak passwords."
)
_GUESS_INNOCENT = phrase(
    "The owner may have signed in from the same office or network while somebody there was trying passwords."
)
_GUESS_SETTLES = phrase(
    "Ask the owner about these sign-ins. Reset the password, revoke the sessions, and look at what was done from the "
    "address since."
)

DETECTOR = Detector(
    id="sign_in.password_spray",
    title=phrase("Guessed passwords"),
    reads=READS,
    needs=("sign_in",),
    variants={
        "guessed_account_then_mail": Variant(
            title=phrase("The password of {objects} was guessed from {addresses}, and mail was read from there"),
            severity=Severity.CRITICAL,
            attack=("T1110", "T1078.004", "T1114.002"),
            innocent=_GUESS_INNOCENT,
            settles=_GUESS_SETTLES,
        ),
        "guessed_account": Variant(
            title=phrase("The password of {objects} was guessed from {addresses}"),
            severity=Severity.HIGH,
            attack=("T1110", "T1078.004"),
            innocent=_GUESS_INNOCENT,
            settles=_GUESS_SETTLES,
        ),
        "spray": Variant(
            title=phrase("Passwords were tried {n_records} time(s) on {n_objects} accounts from {addresses}"),
            severity=Severity.HIGH,
            attack=("T1110.003",),
            innocent=_INNOCENT,
            settles=phrase("Find out whose address it is. Block it, and look for any success from it."),
            about="address",
            is_notice=True,
        ),
        "brute_force": Variant(
            title=phrase("Passwords were tried {n_records} time(s) on {objects} from {addresses}"),
            severity=Severity.MEDIUM,
            attack=("T1110.001",),
            innocent=phrase("A forgotten device or program goes on trying an old password."),
            settles=phrase("Ask the owner for devices that still hold an old password."),
            about="address",
            is_notice=True,
        ),
    },
    find=find,
)
