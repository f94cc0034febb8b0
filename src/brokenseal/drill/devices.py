"""Devices, how they are replaced, and the mail clients on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from brokenseal.drill import apps, people, streams
from brokenseal.drill.tables import Coded

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill.priors import TenantParameters


class Client(NamedTuple):
    """One kind of client, and how its requests look in the records of 2025.

    Attributes:
        name: Name, as in `INTENT.client_class`.
        protocol: One of `vocabulary.PROTOCOLS`.
        app_id: `AppId` of its Exchange records; "" where the records have none.
        client_app_id: Application that holds the token.
        resource_id: Resource of the token.
        agent: Kind of user agent: browser, mobile, apple_mail, android_mail, mac, thunderbird, office, shell or "".
        copies: Copies whole folders (Outlook on the desktop).
        fetches: Downloads each new message as it comes instead of on opening.
    """

    name: str
    protocol: str
    app_id: str
    client_app_id: str
    resource_id: str
    agent: str
    copies: bool = False
    fetches: bool = False


CLIENTS: Final = (
    Client("outlook_desktop", "mapi", "", apps.OFFICE, apps.EXCHANGE, "", copies=True),
    Client("outlook_ews", "ews", apps.OUTLOOK_EWS, apps.OFFICE, apps.EXCHANGE, "office"),
    Client("new_outlook", "owa", apps.NEW_OUTLOOK, apps.NEW_OUTLOOK, apps.EXCHANGE, "browser"),
    Client("owa", "owa", apps.OUTLOOK_WEB, apps.OUTLOOK_WEB, apps.EXCHANGE, "browser"),
    Client("outlook_ios", "outlook_mobile", apps.OUTLOOK_MOBILE, apps.OUTLOOK_MOBILE, apps.EXCHANGE, "mobile"),
    Client("outlook_android", "outlook_mobile", apps.OUTLOOK_MOBILE, apps.OUTLOOK_MOBILE, apps.EXCHANGE, "mobile"),
    Client("apple_mail", "eas", apps.APPLE_MAIL, apps.APPLE_MAIL, apps.EXCHANGE, "apple_mail", fetches=True),
    Client("mac_outlook", "ews", apps.OFFICE, apps.OFFICE, apps.EXCHANGE, "mac", copies=True),
    Client("thunderbird", "imap_pop", apps.THUNDERBIRD, apps.THUNDERBIRD, apps.EXCHANGE, "", fetches=True),
    Client("teams", "rest", apps.GRAPH, apps.TEAMS, apps.GRAPH, "browser"),
    Client("background", "rest_system", "", "", apps.EXCHANGE, ""),
    Client("app_rest", "rest", apps.GRAPH, "", apps.GRAPH, ""),
    Client("app_ews", "ews", "", "", apps.EXCHANGE, ""),
    Client("graph_shell", "rest", apps.GRAPH, apps.GRAPH_SHELL, apps.GRAPH, "shell"),
    Client("graph_explorer", "rest", apps.GRAPH, apps.GRAPH_EXPLORER, apps.GRAPH, "browser"),
    Client("exchange_shell", "admin", apps.EXCHANGE_SHELL, apps.EXCHANGE_SHELL, apps.EXCHANGE, "shell"),
    Client("admin_center", "admin", apps.EXCHANGE_ADMIN, apps.EXCHANGE_ADMIN, apps.EXCHANGE, "browser"),
    Client("ediscovery", "system", apps.EDISCOVERY, apps.EDISCOVERY, apps.EXCHANGE, ""),
    Client("other", "", "", apps.OFFICE_365, apps.SHAREPOINT, "browser"),
)
CLIENT_NAMES: Final = tuple(client.name for client in CLIENTS)
CLIENT: Final = {client.name: client for client in CLIENTS}

SLOTS: Final = ("computer", "phone", "second")
COMPUTER, PHONE, SECOND = range(len(SLOTS))
SYSTEMS: Final = ("Windows", "MacOs", "Ios", "Android", "Linux")
WINDOWS, MACOS, IOS, ANDROID, LINUX = range(len(SYSTEMS))
BROWSERS: Final = ("Edge", "Chrome", "Safari", "Firefox", "Mobile Safari", "Chrome Mobile")
EDGE, CHROME, SAFARI, FIREFOX, MOBILE_SAFARI, CHROME_MOBILE = range(len(BROWSERS))
TRUST: Final = ("", "Azure AD registered", "Azure AD joined", "Hybrid Azure AD joined")

DEVICE_DTYPE: Final = np.dtype(
    [
        ("identity_no", np.int32),
        ("slot", np.int8),  # index into SLOTS
        ("system", np.int8),  # index into SYSTEMS
        ("browser", np.int8),  # index into BROWSERS
        ("client", np.int8),  # index into CLIENTS: the mail client of this slot
        ("lag", np.int8),  # browser releases that it is behind
        ("trust", np.int8),  # index into TRUST; 0 unknown to the directory
        ("is_compliant", np.bool_),
        ("from_day", np.int32),
        ("until_day", np.int32),
    ]
)

_GENERATIONS: Final = 6
_HORIZON: Final = 400
_MAC: Final = 0.14
_APPLE: Final = 0.6
_CHANGES_MAKER: Final = 0.1
_NEW_OUTLOOK: Final = 0.3
_PHONE_MAIL: Final = 0.12
_THUNDERBIRD: Final = 0.3
_CLOUD_JOINED: Final = 0.5
_COMPLIANT: Final = 0.93
# Chrome 124 came out on 2024-04-16; a release every four weeks.
_CHROME_124: Final = 19_829
_RELEASE_DAYS: Final = 28


class Devices(NamedTuple):
    """All devices of a tenant.

    Attributes:
        devices: `DEVICE_DTYPE`, one per device; `device_no` is the index.
        first: First device of each person and slot, shape (people, 3).
        starts: Day from which each generation is in use, shape (people, 3, generations); ALWAYS where there is none.
        key: Key for names and ids.
    """

    devices: npt.NDArray[Any]
    first: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]
    key: int

    def current(self, persons: npt.NDArray[Any], slot: npt.NDArray[Any] | int, day: int) -> npt.NDArray[np.int32]:
        """Device that each person uses in this slot on this day."""
        generation = (self.starts[persons, slot] <= day).sum(axis=-1) - 1
        chosen: npt.NDArray[np.int32] = (self.first[persons, slot] + np.maximum(generation, 0)).astype(np.int32)
        return chosen


def build_devices(
    parameters: TenantParameters,
    humans: npt.NDArray[Any],
    *,
    seed: int,
    tenant_no: int,
    waves: tuple[tuple[int, float], ...] = (),
    christmas_day: int | None = None,
) -> Devices:
    """Every device that the people of a tenant will have.

    Args:
        parameters: Replacement rates, and how many of them are managed.
        humans: Their rows of `people.IDENTITY_DTYPE`.
        seed: Seed of the drill.
        tenant_no: Number of the tenant.
        waves: Fleet replacements of computers: day and share of people reached.
        christmas_day: Day after which many phones are new; None where none falls into the horizon.
    """
    rng = streams.stream(seed, "tenant", tenant_no, "devices")
    count = len(humans)
    starts = np.full((count, len(SLOTS), _GENERATIONS), people.ALWAYS, dtype=np.int32)
    starts[:, :, 0] = -people.ALWAYS
    for slot, rate in ((COMPUTER, parameters.laptops_per_year), (PHONE, parameters.phones_per_year), (SECOND, 0.2)):
        gaps = rng.exponential(365 / max(rate, 1e-6), (count, _GENERATIONS - 1))
        days = np.cumsum(gaps, axis=1)
        starts[:, slot, 1:] = np.where(days < _HORIZON, days, people.ALWAYS)
    for day, reach in waves:
        _insert(starts[:, COMPUTER], np.flatnonzero(rng.random(count) < reach), day + rng.integers(0, 20, count))
    if christmas_day is not None:
        lucky = np.flatnonzero(streams.chance(rng, 0.08, count))
        _insert(starts[:, PHONE], lucky, christmas_day + rng.integers(0, 5, count))
    starts = np.sort(starts, axis=2)
    used = starts < people.ALWAYS
    numbers = used.sum(axis=2)
    first = (np.cumsum(numbers.ravel()) - numbers.ravel()).reshape(numbers.shape).astype(np.int32)
    person, slot_of, generation = np.nonzero(used)
    devices = np.zeros(len(person), dtype=DEVICE_DTYPE)
    devices["identity_no"], devices["slot"] = person, slot_of
    devices["from_day"] = starts[person, slot_of, generation]
    following = np.concatenate([starts, np.full((count, len(SLOTS), 1), people.ALWAYS, np.int32)], axis=2)
    devices["until_day"] = following[person, slot_of, generation + 1]
    _kinds(devices, rng, count, managed_share=parameters.managed_share)
    return Devices(devices, first, starts, streams.hash_key(seed, "tenant", tenant_no, "device ids"))


def _insert(starts: npt.NDArray[np.int32], rows: npt.NDArray[np.int64], days: npt.NDArray[np.int64]) -> None:
    """Put one more replacement into the last free place."""
    free = rows[starts[rows, -1] == people.ALWAYS]
    starts[free, -1] = days[free]


def _kinds(devices: npt.NDArray[Any], rng: np.random.Generator, count: int, *, managed_share: float) -> None:
    person, slot = devices["identity_no"], devices["slot"]
    uniform = rng.random((len(devices), 8))
    # Computers: the company's choice mostly persists per person; phones: the maker does.
    taste = rng.random((count, 4))[person]
    is_mac = taste[:, 0] < _MAC
    is_apple = np.where(uniform[:, 0] < _CHANGES_MAKER, uniform[:, 1], taste[:, 1]) < _APPLE
    computer = np.where(is_mac, MACOS, WINDOWS)
    phone = np.where(is_apple, IOS, ANDROID)
    second = streams.pick(uniform[:, 2], (0.5, 0.15, 0.25, 0.05, 0.05))
    devices["system"] = np.choose(slot, (computer, phone, second))
    desktop_browser = np.where(
        devices["system"] == MACOS,
        streams.pick(taste[:, 2], (0.2, 0.4, 0.35, 0.05))[: len(devices)],
        np.where(devices["system"] == LINUX, FIREFOX, streams.pick(taste[:, 2], (0.62, 0.3, 0.0, 0.08))),
    )
    handheld = np.where(devices["system"] == IOS, MOBILE_SAFARI, CHROME_MOBILE)
    devices["browser"] = np.where(np.isin(devices["system"], (IOS, ANDROID)), handheld, desktop_browser)
    names = CLIENT_NAMES.index
    on_computer = np.where(
        devices["system"] == MACOS,
        names("mac_outlook"),
        np.where(taste[:, 3] < _NEW_OUTLOOK, names("new_outlook"), names("outlook_desktop")),
    )
    is_eas = uniform[:, 3] < _PHONE_MAIL
    mobile = np.where(devices["system"] == IOS, names("outlook_ios"), names("outlook_android"))
    on_phone = np.where(is_eas & (devices["system"] == IOS), names("apple_mail"), mobile)
    is_handheld = np.isin(devices["system"], (IOS, ANDROID))
    on_desk = np.where(uniform[:, 4] < _THUNDERBIRD, names("thunderbird"), names("owa"))
    on_second = np.where(is_handheld, on_phone, on_desk)
    devices["client"] = np.choose(slot, (on_computer, on_phone, on_second))
    devices["lag"] = streams.pick(uniform[:, 5], (0.6, 0.27, 0.08, 0.03, 0.02))
    managed = np.where(slot == COMPUTER, 0.9, np.where(slot == PHONE, 0.6, 0.1))
    is_managed = uniform[:, 6] < managed * managed_share
    joined = np.where(is_handheld, 1, np.where(taste[:, 0] < _CLOUD_JOINED, 2, 3))
    devices["trust"] = np.where(is_managed, joined, 0)
    devices["is_compliant"] = is_managed & (uniform[:, 7] < _COMPLIANT)


def device_guids(devices: Devices) -> list[str]:
    """Directory id of every device, as text."""
    raw = streams.hashed_bytes(devices.key, np.arange(len(devices.devices)))
    ids: list[str] = streams.guid_text(streams.version4(raw)).to_pylist()
    return ids


def agents(
    rows: npt.NDArray[Any], kinds: npt.NDArray[np.object_], *, epoch_day: int, day: int, channel: int
) -> tuple[Coded, Coded]:
    """User agent and desktop version of each visit.

    Args:
        rows: The devices, `DEVICE_DTYPE`.
        kinds: `Client.agent` of each visit's client.
        epoch_day: Days from 1970 to the tenant's epoch.
        day: Day of the visits.
        channel: Update channel of the tenant's Office, 0 (newest) to 2.
    """
    release = 124 + (epoch_day + day - _CHROME_124) // _RELEASE_DAYS - rows["lag"].astype(np.int64)
    words: dict[tuple[str, int, int, int], int] = {}
    codes = np.empty(len(rows), dtype=np.int32)
    packed = zip(kinds, rows["system"].tolist(), rows["browser"].tolist(), release.tolist(), strict=True)
    for place, key in enumerate(packed):
        codes[place] = words.setdefault(key, len(words))
    texts = [_agent(*key) for key in words]
    desktop = Coded(np.where(kinds == "", 0, -1).astype(np.int32), (office_version(epoch_day + day, channel),))
    codes[np.array([texts[code] == "" for code in range(len(texts))], dtype=bool)[codes] if texts else codes[:0]] = -1
    return Coded(codes, texts), desktop


def office_version(unix_day: int, channel: int) -> str:
    """Version of desktop Outlook on a day: a build a month, later in slower channels."""
    month = (unix_day - _CHROME_124) // 30 - 2 * channel
    return f"16.0.{17_500 + 130 * month}.{20_100 + (month * 37) % 90}"


def _agent(kind: str, system: int, browser: int, release: int) -> str:
    platform = {
        WINDOWS: "Windows NT 10.0; Win64; x64",
        MACOS: "Macintosh; Intel Mac OS X 10_15_7",
        IOS: f"iPhone; CPU iPhone OS {17 + max(release - 126, 0) // 13}_{release % 7} like Mac OS X",
        ANDROID: "Linux; Android 10; K",
        LINUX: "X11; Linux x86_64",
    }[system]
    fixed = {
        "mobile": "Outlook-iOS/2.0" if system == IOS else "Outlook-Android/2.0",
        "apple_mail": f"Apple-iPhone{14 + release % 4}C{2 + release % 3}/{2201 + release % 5}.{100 + release % 50}",
        "mac": f"MacOutlook/16.{release - 40}.{release % 9}{release % 7}0{release % 10} (Intelx64 Mac OS X 14.6)",
        "office": "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0."
        f"{17_000 + 120 * (release - 124)}; Pro)",
        "shell": f"Mozilla/5.0 ({platform}) PowerShell/7.{4 + release % 2}.{release % 6} Invoke-MgGraphRequest",
        "": "",
    }
    return fixed[kind] if kind in fixed else _browser(platform, browser, release)


def _browser(platform: str, browser: int, release: int) -> str:
    webkit = f"Mozilla/5.0 ({platform}) AppleWebKit/537.36 (KHTML, like Gecko)"
    return {
        EDGE: f"{webkit} Chrome/{release}.0.0.0 Safari/537.36 Edg/{release}.0.0.0",
        CHROME: f"{webkit} Chrome/{release}.0.0.0 Safari/537.36",
        SAFARI: f"Mozilla/5.0 ({platform}) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        f"Version/{17 + max(release - 126, 0) // 13}.{release % 7} Safari/605.1.15",
        FIREFOX: f"Mozilla/5.0 ({platform}; rv:{release + 1}.0) Gecko/20100101 Firefox/{release + 1}.0",
        MOBILE_SAFARI: f"Mozilla/5.0 ({platform}) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        f"Version/{17 + max(release - 126, 0) // 13}.{release % 7} Mobile/15E148 Safari/604.1",
        CHROME_MOBILE: f"{webkit} Chrome/{release}.0.0.0 Mobile Safari/537.36",
    }[browser]
