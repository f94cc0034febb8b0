"""Small random tenants, dense enough that every variant of every detector occurs in some of them."""

from __future__ import annotations

import datetime as dt

from detector_references import IMITATIONS, RESOURCES
from detector_references_doors import add_doors
from detector_references_tokens import add_tokens
from detector_worlds_sessions import add_handovers, add_sessions

START = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
SECONDS = (0, 1, 30, 59, 60, 61, 300, 600, 601, 3_599, 3_600, 3_601)
DAYS = (0, 0, 0, 0, 1, 6, 7, 8, 14, 15, 21, 29, 31)
ACCOUNTS = tuple(f"{name}@corp.example" for name in "abcdef")
PLACES = (("9.9.9.9", "public"), ("9.9.9.9", "public"), ("8.8.8.8", "public"), ("9.9.1.1", "public"),
          ("2603:10a6::1", "microsoft"), (None, None))  # fmt: skip
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0 Safari/537.36"
LINUX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:87.0) Gecko/20100101 Firefox/87.0"
CHANGES = ("inbox_rule", "inbox_rule", "transport_rule", "mailbox_forwarding", "mailbox_permission",
           "recipient_permission", "send_on_behalf", "folder_permission", "folder_permission", "audit_bypass",
           "audit_disabled", "mailbox_audit_disabled", "domain_federation", "other")  # fmt: skip
GRANTS = ("consent", "consent", "delegated_grant", "app_role_grant", "user_app_grant", "app_credential",
          "role_member", "role_member", "role_member", "account_added")  # fmt: skip


class World:
    """Rows by table name, drawn from one seeded generator."""

    def __init__(self, generator):
        self.generator = generator
        self.rows = {}
        self.count = 0

    def pick(self, *values):
        return self.generator.choice(values)

    def some(self, *values):
        """None, or a sorted list of some of the values."""
        if self.generator.random() < 0.15:
            return None
        return sorted(value for value in values if self.generator.random() < 0.5)

    def who(self, *, days=DAYS):
        address, ip_class = self.pick(*PLACES)
        at = START + dt.timedelta(days=self.pick(*days), seconds=self.pick(*SECONDS))
        return {
            "occurred_at": at,
            "actor_key": self.pick(None, *ACCOUNTS, *ACCOUNTS[:2], *ACCOUNTS[:2]),
            "client_ip": address,
            "ip_class": ip_class,
            "session_id": self.pick(None, "s1", "s2", "s3", "s4", "s5"),
        }

    def add(self, table, **columns):
        self.count += 1
        self.rows.setdefault(table, []).append({"event_id": f"e{self.count:04d}", **columns})


def sign_ins(world, size=20, *, days=DAYS):
    for _ in range(size):
        world.add(
            "sign_ins",
            **world.who(days=days),
            category=world.pick("interactive", "non_interactive", "audit_log", "owa_auth", None),
            user_agent=world.pick(None, WINDOWS, LINUX, "Outlook/16.0"),
            request_id=world.pick(None, "t1", "t2", "t3"),
            token_id=world.pick(None, "t4"),
            succeeded=world.pick(None, True, True, False),
            error_code=world.pick(None, 0, 50126, 50074),
        )


def tries(world):
    """Bursts of wrong passwords: on many accounts, or many on one."""
    for _ in range(world.pick(1, 2)):
        crowd = world.pick(ACCOUNTS, ACCOUNTS[:4], ACCOUNTS[:3], ACCOUNTS[:1])
        agent, (address, ip_class) = world.pick(None, WINDOWS), world.pick(*PLACES[:3])
        start = START + dt.timedelta(days=world.pick(*DAYS))
        for _ in range(world.pick(6, 25)):
            world.add(
                "sign_ins",
                occurred_at=start + dt.timedelta(seconds=world.pick(*SECONDS)),
                actor_key=world.pick(*crowd),
                client_ip=address,
                ip_class=ip_class,
                user_agent=agent,
                category="audit_log",
                request_id=world.pick(None, f"r{world.count}", "r1"),
                succeeded=world.pick(False, False, None),
                error_code=world.pick(50126, 50053),
            )


def mail_accesses(world, size=20, *, days=DAYS):
    for _ in range(size):
        world.add(
            "mail_accesses",
            **world.who(days=days),
            tenant_id=world.pick(None, "x", "x", "x"),
            mailbox_key=world.pick(None, "m1", "m1", "m2"),
            mailbox_upn=world.pick(None, *ACCOUNTS[:2]),
            user_type=world.pick(None, 0, 0, 0, 5, 10),
            logon_type=world.pick(None, 0, 0, 4),
            protocol=world.pick(None, "owa", "owa", "rest_system"),
            effective_app=world.pick(None, "app1", "app1", "app2", "app3"),
            user_agent=world.pick(None, WINDOWS, LINUX),
            token_id_raw=world.pick(None, "raw"),
            token_id=world.pick(None, "t1", "t2", "t3", "t4", "t5"),
            token_issued_at=world.pick(None, START, START + dt.timedelta(days=8, seconds=world.pick(*SECONDS))),
            token_tenant_id=world.pick(None, "x", "x", "y"),
            auth_type=world.pick(None, "Bearer", "Bearer", "Negotiate"),
            token_type=world.pick(None, None, None, "SubstrateProcessorCallbackPft"),
        )


def tokens(world):
    """One client with many tokens, of which nearly all have their sign-in, and hours of other sign-ins around."""
    hours = [START + dt.timedelta(hours=hour) for hour in range(world.pick(24, 24 * 18))]
    for at in (
        hours[0] - dt.timedelta(hours=2),
        *world.generator.sample(hours, 12),
        hours[-1],
        hours[-1] + dt.timedelta(hours=30),
    ):
        for category in ("interactive", "non_interactive"):
            world.add("sign_ins", occurred_at=at, category=category, succeeded=True)
    lost = world.pick(0, 1, 2, 4, 6)
    for number in range(world.pick(15, 30, 40)):
        issued = world.pick(*hours)
        late = [at for at in hours if at >= START + dt.timedelta(days=15)]
        is_made = number < lost and late and world.generator.random() < 0.8
        if is_made:
            issued = world.pick(*late)
        if number >= lost:
            world.add(
                "sign_ins",
                occurred_at=issued,
                category="non_interactive",
                request_id=f"u{number}",
                succeeded=world.generator.random() < 0.97,
            )
        world.add("sign_ins", occurred_at=issued, category="non_interactive", succeeded=True)
        for _ in range(world.pick(1, 2)):
            world.add(
                "mail_accesses",
                occurred_at=issued + dt.timedelta(minutes=world.pick(1, 50)),
                tenant_id="x",
                mailbox_key=world.pick("m1", *([] if is_made else ["m2"])),
                mailbox_upn=world.pick(None, "a@corp.example"),
                actor_key="a@corp.example",
                client_ip="8.8.8.8" if is_made else world.pick("9.9.9.9", *(["8.8.8.8"] if issued in late else [])),
                ip_class="public",
                protocol="owa",
                effective_app="steady",
                token_id=f"u{number}",
                token_id_raw="raw",
                token_issued_at=issued,
                token_tenant_id="x",
            )


def sent_messages(world, size=6):
    for _ in range(size):
        world.add(
            "sent_messages",
            **world.who(),
            user_agent=world.pick(None, WINDOWS, LINUX),
            mailbox_upn=world.pick(*ACCOUNTS),
        )


def config_changes(world, size=45):
    for _ in range(size):
        world.add(
            "config_changes",
            **world.who(),
            change=world.pick(*CHANGES),
            is_service=world.pick(None, False, False, True),
            succeeded=world.pick(None, True, True, False),
            operation_key=world.pick(
                None, "set domain authentication", "add unverified domain", "remove-mailboxpermission"
            ),
            object_id=world.pick(None, "\\Calendar", "\\Inbox", "\\Inbox"),
            target=world.pick(None, "A"),
            target_key=world.pick(None, "a", "zz", *ACCOUNTS[:2]),
            grantee_key=world.pick(None, "b", "default", "nt authority\\self", *ACCOUNTS[:2]),
            rights=world.some("FullAccess", "ReadAny", "SendAs", "None"),
            external_destinations=world.some("e@evil.example"),
            rule_name=world.pick(None, ".", "", "ab", "Newsletters", "会", "会議"),
            rule_effects=world.some("forward", "redirect", "delete", "move", "mark_read", "bcc", "stop"),
            rule_conditions=world.some("Invoice", "hello"),
            user_agent=world.pick(None, WINDOWS, LINUX),
        )


def grants(world, size=45):
    for _ in range(size):
        world.add(
            "config_changes",
            **world.who(),
            change=world.pick(*GRANTS),
            is_service=world.pick(None, False, False, True),
            succeeded=world.pick(None, True, True, False),
            object_id=world.pick(None, "Group_1", "Application_1"),
            target_key=None,
            grantee_key=world.pick(None, "team", "new@corp.example", *ACCOUNTS[:3]),
            rights=world.some("Mail.Read", "User.Read", "Global Administrator", "Global Reader"),
            changed_app_id=world.pick(None, "app1", "app2", "app3", RESOURCES[0]),
            changed_app_name=world.pick(None, "Notes", "Mail Backup", "Microsoft Office", *IMITATIONS),
            is_admin_consent=world.pick(None, True, False),
        )
    for change in list(world.rows["config_changes"]):
        if change["change"] == "app_credential":
            world.rows.setdefault("change_settings", []).append(
                {
                    "event_id": change["event_id"],
                    "name_key": world.pick("keydescription", "displayname"),
                    "new_value": world.pick(None, "[]", "[one]"),
                    "old_value": world.pick(None, "[]", "[one]"),
                }
            )


def events(world, size=12):
    for _ in range(size):
        world.add(
            "events",
            **world.who(),
            succeeded=world.pick(None, True, False),
            mailbox_upn=world.pick(None, *ACCOUNTS),
        )


def _made(generator, *parts):
    world = World(generator)
    for part in parts:
        part(world)
    return world.rows


_PARTS = {
    "sign_in.password_spray": (tries, sign_ins, mail_accesses),
    "session.two_hands": (add_sessions,),
    "session.handover": (add_handovers,),
    "config.open_door": (add_doors,),
    "mail_access.from_suspect_address": (tries, sign_ins, mail_accesses, config_changes, events),
    "token.provenance": (tokens, mail_accesses, sign_ins),
    "token.impossible": (add_tokens,),
    "mail_access.first_seen_client": (mail_accesses,),
    "config.illicit_consent": (grants,),
    "config.app_credential": (grants,),
    "config.privileged_role": (grants, events),
}


def world_of(detector_id, generator):
    """Rows by table name for one detector."""
    return _made(generator, *_PARTS.get(detector_id, (config_changes, events)))
