"""What becomes of a line of log on its way to whoever exports it: late, twice, in a gap, or never."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from brokenseal.drill.second_generator.clock import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from brokenseal.drill.second_generator.company import Tag
    from brokenseal.drill.second_generator.dice import Dice

STREAMS: Final = {
    # stream: pipeline that delivers it, folder, share of the audit log's lateness
    "ual_exchange": ("audit", "management-activity/audit.exchange", 1.0),
    "ual_entra": ("audit", "management-activity/audit.azureactivedirectory", 0.8),
    "ual_general": ("audit", "management-activity/audit.general", 1.2),
    "interactive": ("entra", "sign-ins/interactive", 0.1),
    "non_interactive": ("entra", "sign-ins/non-interactive", 0.15),
    "service_principal": ("entra", "sign-ins/service-principal", 0.15),
    "managed_identity": ("entra", "sign-ins/managed-identity", 0.15),
    "microsoft_service_principal": ("entra", "insights-logs/microsoftserviceprincipalsigninlogs", 0.3),
    "adfs": ("entra", "insights-logs/adfssigninlogs", 0.3),
    "directory_audit": ("entra", "directory-audit", 0.2),
    "graph_activity": ("graph", "graph-activity", 0.4),
    "message_trace": ("trace", "message-trace", 0.3),
}
_IN_LINES: Final = frozenset(("graph_activity", "microsoft_service_principal", "adfs"))
_TRACE_HEADER: Final = (
    "Received",
    "SenderAddress",
    "RecipientAddress",
    "Subject",
    "Status",
    "ToIP",
    "FromIP",
    "Size",
    "MessageId",
    "MessageTraceId",
)
_LONGEST_RUN: Final = 40
_GAPPY_SHARE: Final = 0.3
_GAPPY_MEAN: Final = 10 * HOUR


@dataclass(slots=True, eq=False)
class Written:
    """One line that the service wrote.

    Attributes:
        available: When it can first be read; meaningless where `lost_to` is set.
        lost_to: Why it was not delivered, one of the drill's reasons; empty where it was.
        copies: Times it stands in the exports.
    """

    stream: str
    event_id: str
    at: int
    available: int
    body: bytes
    actor: str | None
    actor_kind: str
    mailbox: str | None
    tag: Tag | None
    lost_to: str = ""
    copies: int = 1


class Law:
    """When lines of a tenant arrive, and which do not."""

    def __init__(self, dice: Dice, parameters: Mapping[str, object], *, logs: str, start: int, end: int) -> None:
        self._dice = dice
        self._start, self._end = start, end
        self._lag_min = _number(parameters["audit_lag_min"])
        self._redelivered = _number(parameters["redelivered_share"])
        self.withheld = frozenset(
            stream
            for stream in STREAMS
            if (logs == "ual-only" and not stream.startswith("ual_"))
            or (logs == "no-noninteractive" and stream == "non_interactive")
        )
        days = (end - start) / DAY
        pipelines = sorted({pipeline for pipeline, _, _ in STREAMS.values()})
        self._stalls = {
            name: self._spells(_number(parameters["stalls_per_month"]) / 30 * days, lambda: dice.about(2, 1.0) * HOUR)
            for name in pipelines
        }
        gaps = _number(parameters["gaps_per_month"]) / 30 * days
        mean: Callable[[], float] = lambda: dice.about(70, 1.3) * MINUTE  # noqa: E731 - two laws side by side
        if logs == "gappy":
            gaps, mean = days * DAY * _GAPPY_SHARE / _GAPPY_MEAN, lambda: dice.wait(_GAPPY_MEAN)
        self.gaps = {stream: self._spells(gaps if logs == "gappy" else gaps / 4, mean) for stream in STREAMS}

    def _spells(self, number: float, length: Callable[[], float]) -> list[tuple[int, int]]:
        starts = sorted(
            self._start + self._dice.below(self._end - self._start) for _ in range(self._dice.count(number))
        )
        return [(at, at + int(length())) for at in starts]

    def decide(self, line: Written) -> None:
        """When the line is available, or why it never is."""
        pipeline, _, factor = STREAMS[line.stream]
        lag = self._dice.gamma(self._lag_min * factor, 2) + 0.5
        line.available = line.at + int(lag * MINUTE)
        for start, end in self._stalls[pipeline]:
            if start <= line.available < end:
                line.available = end + int(self._dice.wait(5) * MINUTE)
        if line.stream in self.withheld:
            line.lost_to = "option"
        elif any(start <= line.at < end for start, end in self.gaps[line.stream]):
            line.lost_to = "gap"
        elif line.available >= self._end:
            line.lost_to = "late"

    def again(self, lines: list[Written]) -> list[Written]:
        """The lines that come a second time: runs of neighbours, as a piece of an export that is fetched again."""
        found: list[Written] = []
        wanted = self._redelivered * len(lines)
        while len(found) < wanted:
            place = self._dice.below(len(lines))
            found.extend(lines[place : place + 1 + self._dice.below(_LONGEST_RUN)])
        for line in found:
            line.copies += 1
        return found


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return value


class Outbox:
    """Lines of one tenant that wait for their day."""

    def __init__(self, law: Law, folder: Path, *, start: int, heard: Callable[[Written], None]) -> None:
        self.law = law
        self.lines = 0
        self._folder = folder
        self._start = start
        self._written_day = -1
        self._heard = heard
        self._waiting: dict[int, dict[str, list[Written]]] = defaultdict(lambda: defaultdict(list))

    def put(
        self,
        stream: str,
        event_id: str,
        at: int,
        body: bytes,
        *,
        actor: str | None,
        actor_kind: str,
        mailbox: str | None = None,
        tag: Tag | None = None,
        lost_to: str = "",
    ) -> Written:
        """Hand over a line that was written at `at`; `lost_to` where it is known to be lost."""
        line = Written(stream, event_id, at, at, body, actor, actor_kind, mailbox, tag)
        self.law.decide(line)
        # What the option withholds was never asked for; it counts as that, whatever else became of it.
        if lost_to and line.lost_to != "option":
            line.lost_to = lost_to
        if line.lost_to:
            line.body = b""
            self._heard(line)
        else:
            day = max((line.available - self._start) // DAY, self._written_day + 1)
            self._waiting[day][stream].append(line)
        return line

    def write_day(self, day: int) -> None:
        """Write what arrived on a day: a file per log, and one more for what came twice."""
        self._written_day = day
        for stream, lines in sorted(self._waiting.pop(day, {}).items()):
            lines.sort(key=lambda line: (line.available, line.event_id))
            repeated = self.law.again(lines)
            self.lines += len(lines) + len(repeated)
            if len(repeated) < len(lines):
                self._write(stream, f"{day:03d}", lines)
                self._write(stream, f"{day:03d}-again", repeated)
            else:
                # A second file with the same content would be the same file.
                self._write(stream, f"{day:03d}", [*lines, *repeated])
            for line in lines:
                self._heard(line)
                line.body = b""

    def _write(self, stream: str, name: str, lines: list[Written]) -> None:
        if not lines:
            return
        folder = self._folder / STREAMS[stream][1]
        folder.mkdir(parents=True, exist_ok=True)
        bodies: Iterable[bytes] = (line.body for line in lines)
        if stream == "message_trace":
            (folder / f"{name}.csv").write_bytes(trace_row(_TRACE_HEADER) + b"".join(bodies))
        elif stream in _IN_LINES:
            (folder / f"{name}.jsonl").write_bytes(b"\n".join(bodies) + b"\n")
        else:
            (folder / f"{name}.json").write_bytes(b"[" + b",\n".join(bodies) + b"]\n")


def trace_row(values: Iterable[str]) -> bytes:
    """One row of a message trace download."""
    text = io.StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue().encode()
