"""Each detector equals its plain reference, and neither order nor repeated delivery of rows changes anything."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal.detectors import token_provenance
from detector_oracles import REFERENCES
from detector_references_provenance import token_verdicts
from detector_runner import EXPRESSIONS, Runner, runner_of
from detector_worlds import world_of

seeds = st.integers(0, 2**32)
few = settings(max_examples=5, deadline=None, derandomize=True, database=None)


def shuffled(world, generator):
    """The same records in another order, some of them delivered twice."""
    mixed = {}
    for name, drawn in world.items():
        mixed[name] = drawn + [row for row in drawn if generator.random() < 0.5]
        generator.shuffle(mixed[name])
    return mixed


@pytest.mark.parametrize(
    "detector", [detector for detector in EXPRESSIONS if detector.id in REFERENCES], ids=lambda detector: detector.id
)
def test_detector_equals_its_plain_reference_in_any_order(detector):
    run = runner_of(detector.id)
    reference = REFERENCES[detector.id]
    said = Counter()

    @few
    @given(seed=seeds)
    def check(seed):
        generator = random.Random(seed)
        world = world_of(detector.id, generator)
        expected = reference(world)
        said.update(variant for variant, *_ in expected)
        hits = run(world)
        assert {(hit["variant"], hit["group_key"], hit["role"], hit["event_id"]) for hit in hits} == expected
        again = run(shuffled(world, generator))
        assert sorted(map(repr, again)) == sorted(map(repr, hits))

    check()
    assert said, "no world held anything to find"


WITHOUT = {
    "mail_access": lambda world: {**world, "mail_accesses": []},
    "token_ids": lambda world: {
        **world, "mail_accesses": [{**row, "token_id": None} for row in world.get("mail_accesses", ())]
    },
    "configuration": lambda world: {**world, "config_changes": []},
}  # fmt: skip


@pytest.mark.parametrize(
    ("detector", "need"),
    [(detector, need) for detector in EXPRESSIONS for need in detector.silent_without],
    ids=lambda value: getattr(value, "id", value),
)
def test_nothing_is_found_without_what_a_detector_declares_to_be_silent_without(detector, need):
    run = runner_of(detector.id)
    for seed in range(3):
        assert not run(WITHOUT[need](world_of(detector.id, random.Random(seed))))


def test_token_verdicts_equal_their_plain_reference():
    run = Runner(token_provenance.verdicts, ("mail_accesses", "sign_ins"))
    said = Counter()

    @settings(few, max_examples=8)
    @given(seed=seeds)
    def check(seed):
        world = world_of("token.provenance", random.Random(seed))
        expected = token_verdicts(world)
        said.update(expected.values())
        assert {row["event_id"]: (row["verdict"], row["reason"]) for row in run(world)} == expected

    check()
    assert {"issued", "not_issued", "cannot_tell"} == {verdict for verdict, _ in said}
