"""What a simulated tenant is drawn from: the hyper-priors TRAIN and TEST, and files that change them.

A prior is a `Span` per quantity; a tenant draws one value from each. TEST widens TRAIN on purpose: a detector that was
fitted on TRAIN has to stand heavier travel, more roll-outs, more lost logs. Each quantity names its source:

* `literature`: a published measurement or Microsoft's documentation (MailItemsAccessed volumes and shares: a public
  2021 lab export; token lifetimes 20-28 h: Microsoft Entra, continuous access evaluation; audit log lateness:
  Office 365 Management Activity API, "no guarantee", 60-90 minutes typical for Exchange);
* `protocol`: the evaluation protocol of this project, chosen wide because nobody has published the number;
* `assumed`: our judgement. A result that hangs on one of these says so.
"""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

NON_INTERACTIVE: Final = ("yes", "partial", "no")
LOG_EPOCHS: Final = (2025, 2023, 2021)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One quantity of a prior: what it means, and the values that are possible at all."""

    name: str
    meaning: str
    source: str
    minimum: float
    maximum: float
    is_whole: bool = False
    is_log: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A uniform draw between two values (of the logarithm where the quantity is one of scale)."""

    low: float
    high: float


def _q(name: str, meaning: str, limits: tuple[float, float], source: str, form: str = "") -> Quantity:
    return Quantity(
        name=name,
        meaning=meaning,
        source=source,
        minimum=limits[0],
        maximum=limits[1],
        is_whole="whole" in form,
        is_log="log" in form,
    )


QUANTITIES: Final = (
    _q("mailboxes", "Mailboxes of the tenant, shared ones included", (10, 20_000), "protocol", "whole log"),
    _q("departments", "Departments", (1, 200), "protocol", "whole log"),
    _q("shared_per_100", "Shared mailboxes per 100 mailboxes", (0, 50), "protocol"),
    _q("records_per_day", "Median MailItemsAccessed records per mailbox-day", (1, 500), "literature", "log"),
    _q("records_sigma", "Spread of that between mailboxes (logarithm)", (0, 2), "protocol"),
    _q("microsoft_share", "Share of those records from Microsoft's own addresses", (0, 0.95), "literature"),
    _q("remote_share", "Share of working days at home", (0, 1), "protocol"),
    _q("cgnat_users", "Subscribers behind one mobile exit address", (1, 100_000), "protocol", "log"),
    _q("travel_per_day", "Trips started per person-day", (0, 0.2), "protocol", "log"),
    _q("phones_per_year", "New phones per person-year", (0, 5), "protocol", "log"),
    _q("laptops_per_year", "New laptops per person-year", (0, 5), "protocol", "log"),
    _q("isps_per_year", "Changes of home provider per person-year", (0, 5), "protocol", "log"),
    _q("apps_per_year", "New third-party applications per person-year", (0, 20), "protocol", "log"),
    _q("clock_skew_s", "Standard deviation of service clocks, seconds", (0, 120), "protocol"),
    _q("clock_tail_s", "Largest skew of a few servers, seconds", (0, 300), "protocol"),
    _q("orphan_rate", "Token issuances lost from the logs, per episode", (0, 0.2), "protocol", "log"),
    _q("stranger_given_orphan", "A lost issuance happens on a new device or network", (0, 1), "protocol", "log"),
    _q("audit_lag_min", "Median lateness of the audit log, minutes", (1, 600), "literature", "log"),
    _q("audit_lag_tail_h", "99.9 % lateness of the audit log, hours", (1, 168), "literature", "log"),
    _q("sign_in_lag_min", "Median lateness of sign-in logs, minutes", (1, 600), "protocol", "log"),
    _q("gaps_per_month", "Gaps per stream and month", (0, 30), "protocol"),
    _q("gap_minutes", "Length of a gap, minutes", (1, 10_080), "protocol", "log"),
    _q("duplicate_rate", "Share of lines delivered more than once", (0, 1), "literature"),
    _q("cae_share", "Share of long-lived tokens (20-28 h)", (0, 1), "protocol"),
    _q("roll_outs_per_year", "Application roll-outs per year", (0, 52), "protocol"),
    _q("roll_out_reach", "Share of people that a roll-out reaches", (0, 1), "protocol"),
    _q("doors_per_100_month", "Administrative doors opened per 100 mailboxes and month", (0, 100), "protocol", "log"),
    _q("unlicensed_share", "Mailboxes whose reads are not audited", (0, 1), "assumed"),
    _q("rules_per_year", "Inbox rules made per person-year", (0, 50), "assumed", "log"),
    _q("resets_per_year", "Password resets per person-year", (0, 20), "assumed", "log"),
    _q("leavers_per_year", "People who leave, share per year", (0, 1), "assumed"),
    _q("renames_per_year", "Changes of user principal name, share of people per year", (0, 1), "assumed"),
    _q("site_events_per_year", "Office moves, provider and VPN changes per year", (0, 50), "assumed"),
    _q("merger_chance", "A merger with a mailbox migration within the year", (0, 1), "assumed"),
    _q("reviews_per_year", "eDiscovery, incident response and penetration tests per year", (0, 100), "assumed"),
    _q("conferences_per_year", "Conferences that several people travel to", (0, 50), "assumed"),
    _q("consultants_per_100", "Guest accounts per 100 mailboxes", (0, 100), "assumed"),
    _q("dual_stack_share", "People whose mail and sign-in leave by different address families", (0, 1), "assumed"),
    _q("shared_home_share", "People who share a home address with a colleague", (0, 1), "assumed"),
    _q("cookie_sync_share", "People whose browser session moves between two devices", (0, 1), "assumed"),
    _q("spray_per_day", "Failing sign-ins from the internet per 100 accounts and day", (0, 1000), "assumed", "log"),
    _q("non_interactive_missing", "Non-interactive sign-ins: 0 given, 1 in part, 2 not", (0, 2), "protocol", "whole"),
    _q("log_epoch_no", "Field set of the audit log: 0 of 2025, 1 of 2023, 2 of 2021", (0, 2), "protocol", "whole"),
    _q(
        "managed_share",
        "Machines that the directory knows, as a share of 9 in 10 computers and 6 in 10 phones",
        (0, 1),
        "assumed",
    ),
)
_BY_NAME: Final = {quantity.name: quantity for quantity in QUANTITIES}


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantParameters:
    """One value per quantity, as a tenant drew them; the meaning of each stands in `QUANTITIES`."""

    mailboxes: int
    departments: int
    shared_per_100: float
    records_per_day: float
    records_sigma: float
    microsoft_share: float
    remote_share: float
    cgnat_users: float
    travel_per_day: float
    phones_per_year: float
    laptops_per_year: float
    isps_per_year: float
    apps_per_year: float
    clock_skew_s: float
    clock_tail_s: float
    orphan_rate: float
    stranger_given_orphan: float
    audit_lag_min: float
    audit_lag_tail_h: float
    sign_in_lag_min: float
    gaps_per_month: float
    gap_minutes: float
    duplicate_rate: float
    cae_share: float
    roll_outs_per_year: float
    roll_out_reach: float
    doors_per_100_month: float
    unlicensed_share: float
    rules_per_year: float
    resets_per_year: float
    leavers_per_year: float
    renames_per_year: float
    site_events_per_year: float
    merger_chance: float
    reviews_per_year: float
    conferences_per_year: float
    consultants_per_100: float
    dual_stack_share: float
    shared_home_share: float
    cookie_sync_share: float
    spray_per_day: float
    non_interactive_missing: int
    log_epoch_no: int
    managed_share: float

    @property
    def non_interactive(self) -> str:
        """Whether non-interactive sign-ins are exported: yes, partial or no."""
        return NON_INTERACTIVE[self.non_interactive_missing]

    @property
    def log_epoch(self) -> int:
        """2025, 2023 or 2021."""
        return LOG_EPOCHS[self.log_epoch_no]

    def as_dict(self) -> dict[str, float]:
        """Every value by name, in the declared order."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """A named prior: a span for every quantity."""

    name: str
    spans: Mapping[str, Span]


_TRAIN: Final[dict[str, tuple[float, float]]] = {
    "mailboxes": (100, 2_000),
    "departments": (5, 30),
    "shared_per_100": (2, 8),
    "records_per_day": (60, 60),
    "records_sigma": (1.0, 1.0),
    "microsoft_share": (0.5, 0.75),
    "remote_share": (0.2, 0.6),
    "cgnat_users": (50, 500),
    "travel_per_day": (1 / 75, 1 / 75),
    "phones_per_year": (0.4, 0.4),
    "laptops_per_year": (0.4, 0.4),
    "isps_per_year": (0.5, 0.5),
    "apps_per_year": (1.8, 1.8),
    "clock_skew_s": (5, 5),
    "clock_tail_s": (0, 0),
    "orphan_rate": (1e-5, 1e-3),
    "stranger_given_orphan": (0.002, 0.05),
    "audit_lag_min": (40, 40),
    "audit_lag_tail_h": (6, 6),
    "sign_in_lag_min": (12, 12),
    "gaps_per_month": (0, 1),
    "gap_minutes": (5, 60),
    "duplicate_rate": (0.1, 0.7),
    "cae_share": (0.3, 0.7),
    "roll_outs_per_year": (1, 3),
    "roll_out_reach": (0.3, 0.6),
    "doors_per_100_month": (0.5, 3),
    "unlicensed_share": (0, 0.05),
    "rules_per_year": (2, 2),
    "resets_per_year": (0.5, 0.5),
    "leavers_per_year": (0.08, 0.15),
    "renames_per_year": (0.02, 0.02),
    "site_events_per_year": (0.3, 1),
    "merger_chance": (0.05, 0.05),
    "reviews_per_year": (1, 4),
    "conferences_per_year": (1, 4),
    "consultants_per_100": (1, 4),
    "dual_stack_share": (0.1, 0.3),
    "shared_home_share": (0.01, 0.02),
    "cookie_sync_share": (0.01, 0.03),
    "spray_per_day": (2, 20),
    "non_interactive_missing": (0, 0),
    "log_epoch_no": (0, 0),
    "managed_share": (1, 1),
}
_TEST: Final[dict[str, tuple[float, float]]] = {
    "mailboxes": (50, 5_000),
    "departments": (3, 60),
    "shared_per_100": (0, 15),
    "records_per_day": (20, 150),
    "records_sigma": (1.3, 1.3),
    "microsoft_share": (0.3, 0.85),
    "remote_share": (0, 0.95),
    "cgnat_users": (20, 5_000),
    "travel_per_day": (1 / 200, 1 / 25),
    "phones_per_year": (0.2, 1.5),
    "laptops_per_year": (0.2, 1.5),
    "isps_per_year": (0.2, 1.5),
    "apps_per_year": (0.3, 6),
    "clock_skew_s": (5, 30),
    "clock_tail_s": (0, 90),
    "orphan_rate": (1e-6, 3e-2),
    "stranger_given_orphan": (0.002, 0.3),
    "audit_lag_min": (20, 90),
    "audit_lag_tail_h": (6, 48),
    "sign_in_lag_min": (5, 40),
    "gaps_per_month": (0, 3),
    "gap_minutes": (5, 1_440),
    "duplicate_rate": (0, 0.9),
    "cae_share": (0, 1),
    "roll_outs_per_year": (0, 8),
    "roll_out_reach": (0.1, 0.95),
    "doors_per_100_month": (0.2, 12),
    "unlicensed_share": (0, 0.2),
    "rules_per_year": (0.5, 8),
    "resets_per_year": (0.1, 2),
    "leavers_per_year": (0.02, 0.4),
    "renames_per_year": (0, 0.1),
    "site_events_per_year": (0, 4),
    "merger_chance": (0, 0.3),
    "reviews_per_year": (0, 12),
    "conferences_per_year": (0, 10),
    "consultants_per_100": (0, 15),
    "dual_stack_share": (0, 0.7),
    "shared_home_share": (0, 0.06),
    "cookie_sync_share": (0, 0.1),
    "spray_per_day": (0.2, 200),
    "non_interactive_missing": (0, 2),
    "log_epoch_no": (0, 0),
    "managed_share": (0.2, 1),
}


def _prior(name: str, values: Mapping[str, tuple[float, float]]) -> Prior:
    return Prior(name=name, spans={key: Span(*values[key]) for key in _BY_NAME})


TRAIN: Final = _prior("train", _TRAIN)
TEST: Final = _prior("test", _TEST)
PRIORS: Final = (TRAIN, TEST)


def load_prior(name: str | Path) -> Prior:
    """A prior by name, or from a TOML or JSON file.

    A name may end in the field set of the audit log, such as `train-2021`. A file holds `base = "train"` or `"test"`
    (train where left out) and, per quantity to change, one number or a pair `[low, high]`; `log_epoch = 2021` (2023,
    2025, or a pair of them) chooses the field set by its year.

    Raises:
        UsageError: No such prior or file, or a value in it is impossible; it names the quantity, the value and what
            would be right.
    """
    for prior in PRIORS:
        if str(name) == prior.name:
            return prior
        for year in LOG_EPOCHS:
            if str(name) == f"{prior.name}-{year}":
                return Prior(name=str(name), spans={**prior.spans, "log_epoch_no": _epochs(year, place="prior")})
    path = Path(name)
    if path.suffix.lower() not in {".toml", ".json"}:
        raise UsageError(place="prior", value=name, expected="train, test, or a .toml or .json file")
    document = _read(path)
    base_name = document.pop("base", "train")
    base = next((prior for prior in PRIORS if prior.name == base_name), None)
    if base is None:
        raise UsageError(place=f"{path}: base", value=base_name, expected="train or test")
    spans = dict(base.spans)
    for key, value in document.items():
        if key == "log_epoch":
            spans["log_epoch_no"] = _epochs(value, place=f"{path}: {key}")
            continue
        quantity = _BY_NAME.get(key)
        if quantity is None:
            raise UsageError(place=f"{path}: {key}", expected=f"one of the quantities {', '.join(sorted(_BY_NAME))}")
        spans[key] = _span(quantity, value, place=f"{path}: {key}")
    return Prior(name=path.stem, spans=spans)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(place=str(path), value=error, expected="a readable UTF-8 file") from error
    try:
        document = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise UsageError(place=str(path), value=error, expected="well-formed TOML or JSON") from error
    if not isinstance(document, dict):
        raise UsageError(place=str(path), value=type(document).__name__, expected="an object of quantities")
    return document


def _epochs(value: object, *, place: str) -> Span:
    """Span of `log_epoch_no` for a year or a pair of years."""
    years = value if isinstance(value, list) else [value, value]
    # A year may come as 2021.0 from JSON, but True is none.
    if len(years) != len(("low", "high")) or not all(year in LOG_EPOCHS and year is not True for year in years):
        raise UsageError(place=place, value=value, expected="2021, 2023 or 2025, or a pair of them")
    numbers = sorted(LOG_EPOCHS.index(year) for year in years)
    return Span(float(numbers[0]), float(numbers[1]))


def _span(quantity: Quantity, value: object, *, place: str) -> Span:
    pair = value if isinstance(value, list) else [value, value]
    numeric = [one for one in pair if isinstance(one, (int, float)) and not isinstance(one, bool)]
    if len(numeric) != len(pair) or len(pair) != len(("low", "high")):
        raise UsageError(place=place, value=value, expected="a number, or a pair [low, high] of numbers")
    limits = f"{quantity.minimum:g} to {quantity.maximum:g}"
    # Compared before the conversion: a whole number of JSON can be too large for a float. NaN fails both ways.
    if not all(quantity.minimum <= one <= quantity.maximum for one in numeric):
        raise UsageError(place=place, value=value, expected=f"values from {limits}")
    low, high = (float(one) for one in numeric)
    if low > high:
        raise UsageError(place=place, value=value, expected="a pair with low not above high")
    if quantity.is_whole and not (low.is_integer() and high.is_integer()):
        raise UsageError(place=place, value=value, expected="whole numbers")
    return Span(low, high)


def _drawn(quantity: Quantity, span: Span, uniform: float) -> float:
    if quantity.is_log and span.low > 0:
        value = math.exp(math.log(span.low) + (math.log(span.high) - math.log(span.low)) * uniform)
    elif quantity.is_whole:
        value = float(math.floor(span.low + (span.high - span.low + 1) * uniform))
    else:
        value = span.low + (span.high - span.low) * uniform
    value = min(max(value, span.low), span.high)
    return round(value) if quantity.is_whole else value


def draw(prior: Prior, rng: np.random.Generator, *, mailboxes: int | None = None) -> TenantParameters:
    """The parameters of one tenant.

    Args:
        prior: Where they come from.
        rng: The tenant's generator; one number is used per quantity, so a changed span changes nothing else.
        mailboxes: Number of mailboxes, where the caller decides it.

    Raises:
        UsageError: `mailboxes` is impossible.
    """
    quantity = _BY_NAME["mailboxes"]
    if mailboxes is not None:
        _span(quantity, mailboxes, place="mailboxes")
    uniform = rng.random(len(QUANTITIES))
    values: dict[str, Any] = {
        quantity.name: _drawn(quantity, prior.spans[quantity.name], float(number))
        for quantity, number in zip(QUANTITIES, uniform, strict=True)
    }
    if mailboxes is not None:
        values["mailboxes"] = mailboxes
    return TenantParameters(**values)
