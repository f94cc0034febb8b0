"""The detectors that T3 and T4 measure: the product's own on a whole drill, and a plain one over lines.

The plain one keys on what every detector of the product keys on: tokens that nobody issued, a client and a network
that a mailbox has not seen, and doors. It is no good detector; it is one whose every cause can be named.
"""

from __future__ import annotations

import datetime as dt
import re
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow.parquet as pq

from brokenseal.drill._leak_lines import flatten
from brokenseal.fields import canonical_token_id
from brokenseal.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from brokenseal.drill._leak_lines import Line

_DOORS: Final = re.compile(
    r"^(New-InboxRule|New-TransportRule|Add-MailboxPermission|Add-MailboxFolderPermission|New-ManagementRoleAssignment"
    r"|Set domain authentication\.|Consent to application\.|Update application – Certificates|Add app role assignment)"
)
_DAYS: Final = 7


class Detected(NamedTuple):
    """How many instances of an attack have a case."""

    found: int
    instances: int


# ---------------------------------------------------------------- the product's own (T3)


def product_finds(drill_dir: Path) -> dict[str, Detected]:
    """How many instances of each attack and control the product's detectors find, each tenant in a store of its own.

    An instance is found if a case cites a record of it within a week of its first one.

    Raises:
        UsageError: The folder is no drill.
    """
    from brokenseal import investigate
    from brokenseal.drill import score
    from brokenseal.store import Store

    truth = drill_dir / "truth"
    score.require_truth(truth)
    found: Counter[str] = Counter()
    instances: Counter[str] = Counter()
    for tenant_id, folder, ends_at in _tenants(drill_dir):
        with tempfile.TemporaryDirectory() as name:
            settings = Settings(store_dir=Path(name) / "store")
            investigate.add_exports([folder], settings, now=ends_at)
            with Store.open(settings) as store:
                tables = store.tables()
                detection = investigate.detect(tables, investigate.coverage_of(tables))
                seen = score.observe(tables, detection, truth, tenants=[tenant_id])
        for outcome in seen.intrusions:
            intrusion = outcome.intrusion
            instances[intrusion.attack_id] += 1
            if intrusion.first_record_at is not None and outcome.caught_at is not None:
                found[intrusion.attack_id] += outcome.caught_at - intrusion.first_record_at <= dt.timedelta(days=_DAYS)
    return {attack_id: Detected(found[attack_id], count) for attack_id, count in sorted(instances.items())}


def _tenants(drill_dir: Path) -> list[tuple[str, Path, dt.datetime]]:
    """Id, exports and end of every tenant; the folder of a tenant bears its domain, which the manifest says."""
    import json

    entries = json.loads((drill_dir / "manifest.json").read_text(encoding="utf-8"))["tenants"]
    ends = {
        row["tenant_id"]: row["ends_at"] for row in pq.read_table(drill_dir / "truth" / "tenants.parquet").to_pylist()
    }
    return [(one["tenant_id"], drill_dir / "exports" / one["folder"], ends[one["tenant_id"]]) for one in entries]


# ---------------------------------------------------------------- a plain one over lines (T4)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What a line shows that the plain detector looks at."""

    mailbox: str
    client: str
    network: str
    token: str | None
    operation: str


@dataclass(slots=True, eq=False)
class PlainDetector:
    """From lines to the attack instances of which a line is suspicious.

    Attributes:
        issued: Token ids that the sign-in logs show to be issued.
    """

    issued: frozenset[str]
    _known: dict[Line, _Shown] = field(default_factory=dict)

    @classmethod
    def of_drill(cls, drill_dir: Path) -> PlainDetector:
        """The detector that knows the tokens of a drill whose issuance was delivered."""
        rows = pq.read_table(drill_dir / "truth" / "tokens.parquet", columns=["token_id", "is_delivered"]).to_pylist()
        return cls(frozenset(row["token_id"] for row in rows if row["is_delivered"] and row["token_id"]))

    def __call__(self, lines: Sequence[Line]) -> set[int]:
        """Instances found: by an unissued token on a strange network, a stranger at the mailbox, or a door."""
        shown = [self._shown(line) for line in lines]
        habits = self._habits(zip(lines, shown, strict=True))
        found = set()
        for line, one in zip(lines, shown, strict=True):
            if line.instance >= 0 and self._is_suspicious(one, habits):
                found.add(line.instance)
        return found

    def _habits(self, pairs: Iterable[tuple[Line, _Shown]]) -> Mapping[str, set[str]]:
        habits: dict[str, set[str]] = {}
        for line, one in pairs:
            if line.instance < 0 and one.mailbox:
                habits.setdefault(one.mailbox, set()).update((f"c {one.client}", f"n {one.network}"))
        return habits

    def _is_suspicious(self, one: _Shown, habits: Mapping[str, set[str]]) -> bool:
        if _DOORS.match(one.operation):
            return True
        own = habits.get(one.mailbox, set())
        is_new_network = bool(one.mailbox) and f"n {one.network}" not in own
        is_new_client = bool(one.mailbox) and f"c {one.client}" not in own
        is_unissued = one.token is not None and one.token not in self.issued
        return is_new_network and (is_unissued or is_new_client)

    def _shown(self, line: Line) -> _Shown:
        found = self._known.get(line)
        if found is None:
            flat = {path.removeprefix("AuditData."): value for path, value in flatten(line.record).items()}
            text = {path: str(value) for path, value in flat.items() if isinstance(value, (str, int))}
            address = text.get("ClientIPAddress", text.get("ClientIP", ""))
            token, _ = canonical_token_id(flat.get("AppAccessContext.UniqueTokenId"))
            found = _Shown(
                mailbox=text.get("MailboxGuid", ""),
                client=f"{text.get('AppId', '')} {text.get('ClientInfoString', '').partition(';')[0]}",
                network=".".join(address.split(".")[:3]) if "." in address else ":".join(address.split(":")[:3]),
                token=token,
                operation=text.get("Operation", text.get("activityDisplayName", "")),
            )
            self._known[line] = found
        return found
