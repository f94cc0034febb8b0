"""Sigma rules on Ibis: read, compiled for DuckDB and Spark, run over the recorded text of a store."""

from pathlib import Path
from typing import Final

from brokenseal.sigma.compiler import CompiledRule, compile_rule
from brokenseal.sigma.loading import load_rules, load_text
from brokenseal.sigma.matching import NotSupportedError
from brokenseal.sigma.values import Rule, RuleFault, RuleHit, RuleSet, RuleVerdict, RunResult

OWN_RULES: Final = Path(__file__).parent.parent / "data" / "sigma"
"""The rules that the product publishes."""

__all__ = [
    "OWN_RULES",
    "CompiledRule",
    "NotSupportedError",
    "Rule",
    "RuleFault",
    "RuleHit",
    "RuleSet",
    "RuleVerdict",
    "RunResult",
    "compile_rule",
    "load_rules",
    "load_text",
]
