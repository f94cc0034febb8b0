"""Files of rules to rules, one by one: a bad rule gives file, line and reason, and stops no other.

Limits come before parsing, because YAML is hostile: the size of a file, the nesting, the number of nodes, and what
aliases expand to. Regular expressions are checked by RE2, which has no backtracking and is what DuckDB runs.

Source: Sigma Rules Specification and Sigma Correlation Rules Specification, version 2.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import re2  # type: ignore[import-untyped]  # RE2 comes with pySigma
import yaml
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaConditionError, SigmaError
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import RE2RegexEngine
from sigma.rule import SigmaDetectionItem, SigmaRule

from brokenseal.errors import UsageError
from brokenseal.sigma.values import LEVELS, Rule, RuleFault, RuleSet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sigma.policy.regex_engine import RegexPattern

FILE_BYTES: Final = 1 << 20
"""The largest rule that people publish has some 50 KiB; a file of ten mebibytes is no rule."""
NODES: Final = 50_000
DEPTH: Final = 40
ALIASES: Final = 200
_SUFFIXES: Final = (".yml", ".yaml")
_SHOWN: Final = 300


class _QuietRegexes(RE2RegexEngine):
    """RE2 as pySigma uses it, which says what is wrong with a pattern once, and not on standard error as well."""

    def compile(self, pattern: str, flags: int = 0) -> RegexPattern:
        options = re2.Options()
        options.log_errors = False
        letters = {re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s"}
        prefix = "".join(letter for flag, letter in letters.items() if flags & flag)
        compiled: RegexPattern = re2.compile(f"(?{prefix}){pattern}" if prefix else pattern, options)
        return compiled

    def __deepcopy__(self, memo: object) -> _QuietRegexes:
        """Itself: it has no state, and rules that bear it are copied."""
        return self


_POLICY: Final = SigmaPolicy(regex_engine=_QuietRegexes())


@dataclass(frozen=True, slots=True)
class _Document:
    """One YAML document of a file: its value, and the node that knows lines."""

    value: Any
    node: yaml.Node
    line: int


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """In place of the value of a document that YAML can parse and nobody can build."""

    reason: str


class _TooMuch(Exception):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def load_rules(paths: Sequence[Path]) -> RuleSet:
    """Read rules from files and folders (recursively, `.yml` and `.yaml`, sorted).

    Of two rules with one id the first counts, and the second is a fault.
    """
    rules: list[Rule] = []
    faults: list[RuleFault] = []
    for path in _files(paths, faults):
        found, wrong = _read_file(path)
        rules += found
        faults += wrong
    return _linked(rules, faults)


def load_text(text: str, *, path: str = "<text>") -> RuleSet:
    """Read the rules of one text."""
    found, wrong = _read_bytes(text.encode(), path)
    return _linked(list(found), list(wrong))


def rule_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The files that `load_rules` would read, in its order."""
    return tuple(_files(paths, []))


def _files(paths: Sequence[Path], faults: list[RuleFault]) -> Iterator[Path]:
    seen: set[Path] = set()
    for path in paths:
        listed = sorted(each for each in path.rglob("*") if each.suffix.lower() in _SUFFIXES)
        listed = listed if path.is_dir() else [path]
        if not listed:
            faults.append(RuleFault(path=str(path), line=1, reason="no .yml or .yaml file below this folder"))
        for each in listed:
            if each.is_file() and each not in seen:
                seen.add(each)
                yield each
            elif not each.exists():
                faults.append(RuleFault(path=str(each), line=1, reason="no such file"))


def _read_file(path: Path) -> tuple[list[Rule], list[RuleFault]]:
    try:
        size = path.stat().st_size
        if size > FILE_BYTES:
            reason = f"{size} bytes; a file of rules has at most {FILE_BYTES}"
            return [], [RuleFault(path=str(path), line=1, reason=reason)]
        content = path.read_bytes()
    except OSError as err:
        return [], [RuleFault(path=str(path), line=1, reason=err.strerror or str(err))]
    return _read_bytes(content, str(path))


def _read_bytes(content: bytes, path: str) -> tuple[list[Rule], list[RuleFault]]:
    rules: list[Rule] = []
    faults: list[RuleFault] = []
    if len(content) > FILE_BYTES:
        reason = f"{len(content)} bytes; a file of rules has at most {FILE_BYTES}"
        return rules, [RuleFault(path=path, line=1, reason=reason)]
    try:
        _check_bounds(content)
        for document in _documents(content):
            rule = _rule_of(document, path)
            if isinstance(rule, RuleFault):
                faults.append(rule)
            elif rule is not None:
                rules.append(rule)
    except _TooMuch as err:
        faults.append(RuleFault(path=path, line=err.line, reason=err.reason))
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None)
        problem = getattr(err, "problem", None) or str(err)
        line = mark.line + 1 if mark is not None else 1
        faults.append(RuleFault(path=path, line=line, reason=f"not YAML: {_one_line(problem)}"))
    return rules, faults


def placeholder_values(path: Path) -> dict[str, tuple[str, ...]]:
    """The values of placeholders: a YAML mapping from a name to one value or a list of them.

    Raises:
        UsageError: the file is no such mapping, or cannot be read.
    """
    wanted = "YAML such as `internal_domains: [example.org, example.net]`"
    try:
        content = path.read_bytes()
        if len(content) > FILE_BYTES:
            raise UsageError(place=str(path), value=f"{len(content)} bytes", expected=wanted)
        _check_bounds(content)
        documents = [each.value for each in _documents(content)]
    except (OSError, yaml.YAMLError, _TooMuch) as err:
        raise UsageError(place=str(path), value=err, expected=wanted) from err
    value = documents[0] if len(documents) == 1 else None
    if not isinstance(value, dict):
        raise UsageError(place=str(path), value=type(value).__name__, expected=wanted)
    found = {}
    for name, each in value.items():
        listed = each if isinstance(each, list) else [each]
        if not all(isinstance(item, str | int | float) for item in listed):
            raise UsageError(place=f"{path}, {name}", value=each, expected=wanted)
        found[str(name)] = tuple(str(item) for item in listed)
    return found


# ---------------------------------------------------------------- YAML within bounds


def _check_bounds(content: bytes) -> None:
    """Walk the events of a text, which takes memory for none of it, before anything is built of it."""
    depth = nodes = aliases = 0
    for event in yaml.parse(content, Loader=yaml.CSafeLoader):
        line = event.start_mark.line + 1 if event.start_mark is not None else 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            nodes += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.ScalarEvent):
            nodes += 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        if depth > DEPTH:
            raise _TooMuch(line, f"nested more than {DEPTH} levels deep")
        if nodes > NODES:
            raise _TooMuch(line, f"more than {NODES} values in one file")
        if aliases > ALIASES:
            raise _TooMuch(line, f"more than {ALIASES} aliases in one file")


def _documents(content: bytes) -> Iterator[_Document]:
    for node in yaml.compose_all(content, Loader=yaml.CSafeLoader):
        if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
            continue
        _check_expansion(node)
        loader = yaml.CSafeLoader("")
        try:
            value = loader.construct_document(node)
        except (ValueError, OverflowError, yaml.YAMLError) as err:  # 2024-13-45 as a date, a tag that nobody knows
            value = _Unreadable(_one_line(f"a value that cannot be read: {getattr(err, 'problem', None) or err}"))
        finally:
            loader.dispose()
        yield _Document(value, node, node.start_mark.line + 1)


def _check_expansion(root: yaml.Node) -> None:
    """Refuse cycles, and aliases that stand for more values than a file may hold."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()
    stack: list[tuple[yaml.Node, bool]] = [(root, False)]
    while stack:
        node, is_done = stack.pop()
        children = _children(node)
        if is_done:
            open_nodes.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(child)] for child in children)
            if sizes[id(node)] > NODES:
                raise _TooMuch(node.start_mark.line + 1, f"aliases expand to more than {NODES} values")
        elif id(node) not in sizes:
            open_nodes.add(id(node))
            stack.append((node, True))
            for child in children:
                if id(child) in open_nodes:
                    raise _TooMuch(child.start_mark.line + 1, "an alias that contains itself")
                stack.append((child, False))


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for each in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


# ---------------------------------------------------------------- one document to one rule


def _rule_of(document: _Document, path: str) -> Rule | RuleFault | None:
    value = document.value
    if not isinstance(value, dict):
        reason = value.reason if isinstance(value, _Unreadable) else "a rule is a mapping"
        return RuleFault(path=path, line=document.line, reason=reason)
    name = value.get("id") or value.get("name") or value.get("title")
    rule_id = _one_line(str(name)) if name is not None else None
    is_correlation = "correlation" in value
    if not is_correlation and not {"detection", "logsource", "title"} & value.keys():
        # Folders of rules hold other YAML as well: pipelines, indexes.
        return None
    refusal = _refusal(value)
    if refusal:
        return RuleFault(path=path, line=document.line, reason=refusal, rule_id=rule_id)
    try:
        parsed = (
            SigmaCorrelationRule.from_dict(value, policy=_POLICY)
            if is_correlation
            else SigmaRule.from_dict(_dated(value), policy=_POLICY)
        )
        if isinstance(parsed, SigmaRule):
            for condition in parsed.detection.parsed_condition:
                condition.parse()
    except (SigmaError, TypeError, ValueError, AttributeError, KeyError, RecursionError) as err:
        # pySigma raises the plain ones where a value is of a kind that it does not expect.
        line, reason = _place(document, err)
        return RuleFault(path=path, line=line, reason=reason, rule_id=rule_id)
    return _described(parsed, value, path=path, line=document.line)


def _refusal(value: Mapping[str, Any]) -> str:
    if "filter" in value:
        return "a Sigma filter; filters are not carried out"
    if value.get("action") is not None:
        return "`action` documents are not part of Sigma since version 2"
    return "" if "detection" in value or "correlation" in value else "no detection"


def _dated(value: Mapping[str, Any]) -> dict[str, Any]:
    """The rule without what is no part of its meaning and may be written wrongly: dates."""
    kept = {name: each for name, each in value.items() if name not in ("date", "modified")}
    for name in ("date", "modified"):
        if isinstance(value.get(name), dt.date):
            kept[name] = value[name]
    return kept


def _described(parsed: SigmaRule | SigmaCorrelationRule, value: Mapping[str, Any], *, path: str, line: int) -> Rule:
    level = parsed.level.name.lower() if parsed.level is not None else "medium"
    name = value.get("name")
    key = str(parsed.id) if parsed.id is not None else str(name) if name else f"{path}:{line}"
    source = parsed.logsource if isinstance(parsed, SigmaRule) else None
    references: tuple[str, ...] = ()
    if isinstance(parsed, SigmaCorrelationRule):
        condition = getattr(parsed.condition, "get_referenced_rules", None)
        listed = [each.reference for each in parsed.rules] if parsed.rules else condition() if condition else []
        references = tuple(str(each) for each in listed)
    return Rule(
        key=key,
        title=_one_line(parsed.title or key),
        level=next(each for each in LEVELS if each == level),
        path=path,
        line=line,
        tags=tuple(f"{tag.namespace}.{tag.name}" for tag in parsed.tags),
        product=source.product if source else None,
        service=source.service if source else None,
        category=source.category if source else None,
        parsed=parsed,
        refers_to=references,
        author=_one_line(parsed.author or ""),
        description=_one_line(parsed.description or ""),
    )


def _place(document: _Document, err: Exception) -> tuple[int, str]:
    """The line that an error is about: a detection item, a condition, a key of the rule, or the document."""
    if isinstance(err, RecursionError):
        return document.line, "nested too deep to be read"
    reason = _one_line(str(err)) or type(err).__name__
    part = _member(document.node, "detection") or _member(document.node, "correlation")
    inner = part[1] if part is not None and isinstance(part[1], yaml.MappingNode) else None
    # A selection fails as its items do; the item, which stands further down, is what is wrong.
    lines = [_line(key) for key, value in _items(inner) if _is_at_fault(key, value, reason)] if inner else []
    if not lines and inner is not None:
        names = [name for name in _INNER_KEYS if name in reason.lower()]
        names += ["condition"] if isinstance(err, SigmaConditionError) else []
        lines = [_line(found[0]) for name in names if (found := _member(inner, name)) is not None][:1]
    if not lines:
        words = reason.lower().split()
        lines = [_line(found[0]) for name in _OWN_KEYS if name in words and (found := _member(document.node, name))]
    if not lines and part is not None and inner is None:
        lines = [_line(part[0])]
    return max(lines, default=document.line), reason


_INNER_KEYS: Final = ("timespan", "type", "rules", "condition")
_OWN_KEYS: Final = ("logsource", "title", "level", "status", "tags", "id")


def _is_at_fault(key: yaml.ScalarNode, value: yaml.Node, reason: str) -> bool:
    loader = yaml.CSafeLoader("")
    try:
        SigmaDetectionItem.from_mapping(key.value, loader.construct_object(value, deep=True), policy=_POLICY)
    except (SigmaError, TypeError, ValueError, AttributeError, KeyError) as err:
        return _one_line(str(err)) == reason
    finally:
        loader.dispose()
    return False


def _items(node: yaml.Node) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    """Every key of every mapping below a node with its value."""
    stack = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, yaml.MappingNode):
            for key, value in each.value:
                if isinstance(key, yaml.ScalarNode):
                    yield key, value
                stack.append(value)
        elif isinstance(each, yaml.SequenceNode):
            stack.extend(each.value)


def _member(node: yaml.Node, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next(((key, value) for key, value in pairs if key.value == name), None)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _one_line(text: str) -> str:
    plain = re.sub(r"\s+", " ", text).strip()
    return plain if len(plain) <= _SHOWN else f"{plain[:_SHOWN]}…"


# ---------------------------------------------------------------- rules among each other


def _linked(rules: list[Rule], faults: list[RuleFault]) -> RuleSet:
    """Rules with their references resolved to keys; those whose references lead nowhere or in a circle are faults."""
    known: dict[str, Rule] = {}
    names: dict[str, str] = {}
    for rule in rules:
        if rule.key in known:
            first = known[rule.key]
            reason = f"the same id as {first.path}:{first.line}, which counts"
            faults.append(RuleFault(path=rule.path, line=rule.line, reason=reason, rule_id=rule.key))
            continue
        known[rule.key] = rule
        for name in (rule.key, getattr(rule.parsed, "name", None)):
            if name:
                names.setdefault(str(name), rule.key)
    resolved = {
        key: replace(rule, refers_to=tuple(names.get(each, each) for each in rule.refers_to))
        for key, rule in known.items()
    }
    sound, wrong = _sound(resolved)
    faults += wrong
    fed = {
        each
        for rule in sound.values()
        if isinstance(rule.parsed, SigmaCorrelationRule) and not rule.parsed.generate
        for each in rule.refers_to
    }
    shown = tuple(replace(rule, is_shown=rule.key not in fed) for rule in sound.values())
    return RuleSet(rules=shown, faults=tuple(sorted(faults, key=lambda each: (each.path, each.line))))


def _sound(rules: Mapping[str, Rule]) -> tuple[dict[str, Rule], list[RuleFault]]:
    state: dict[str, str | None] = {}

    def trouble(key: str, path: tuple[str, ...]) -> str | None:
        if key in path:
            return f"its references lead in a circle: {' → '.join((*path[path.index(key) :], key))}"
        if len(path) > DEPTH:
            return f"its references go on for more than {DEPTH} rules"
        if key not in rules:
            return f"it refers to a rule that was not read: {_one_line(key)}"
        if key in state:
            return state[key]
        found = next((why for each in rules[key].refers_to if (why := trouble(each, (*path, key)))), None)
        if not path or found is None:
            state[key] = found
        return found

    faults = []
    for key, rule in rules.items():
        why = trouble(key, ())
        if why is not None:
            faults.append(RuleFault(path=rule.path, line=rule.line, reason=why, rule_id=key))
    return {key: rule for key, rule in rules.items() if state.get(key) is None}, faults
