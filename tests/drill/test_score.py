"""The score against truths that are known by hand."""

import json
import math
import random
from dataclasses import replace

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brokenseal.drill import _score_intervals as intervals
from brokenseal.drill._score_exposure import said_of
from brokenseal.drill.score import observe, score, score_from_json, score_to_json, summarise
from brokenseal.errors import UsageError
from brokenseal.exposure import exposure as exposure_under
from brokenseal.scope import cases_of
from brokenseal.selection import Selection
from drill.score_truths import (
    DAY,
    HOUR,
    OTHER,
    TENANT,
    World,
    address,
    attack,
    box,
    case,
    day,
    detection,
    document,
    exposure,
    finding,
    read,
    record,
    state,
    tenant,
)
from support import make_tables

QUIET = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# ---------------------------------------------------------------- intervals


@pytest.mark.parametrize(
    ("probability", "degrees", "published"),
    [
        # NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.4, to its three decimals.
        (0.95, 1, 3.841),
        (0.95, 2, 5.991),
        (0.95, 10, 18.307),
        (0.975, 20, 34.170),
        (0.99, 1, 6.635),
        (0.025, 10, 3.247),
        (0.025, 100, 74.222),
        (0.975, 100, 129.561),
    ],
)
def test_chi_square_quantiles_are_those_of_the_published_table(probability, degrees, published):
    assert intervals.chi_square_quantile(probability, degrees) == pytest.approx(published, abs=6e-4)


@pytest.mark.parametrize(
    ("count", "low", "high"),
    # Garwood's limits as printed in most tables of the Poisson distribution.
    [(0, 0.0, 3.689), (1, 0.025, 5.572), (4, 1.090, 10.242), (10, 4.795, 18.390), (100, 81.364, 121.627)],
)
def test_poisson_intervals_are_the_published_ones(count, low, high):
    assert intervals.poisson_interval(count) == (pytest.approx(low, abs=6e-4), pytest.approx(high, abs=6e-4))


@pytest.mark.parametrize(("count", "upper"), [(0, 2.9957), (1, 4.7439), (4, 9.1535)])
def test_the_upper_bound_of_a_count_is_one_sided(count, upper):
    assert intervals.poisson_upper(count) == pytest.approx(upper, abs=6e-5)


@given(st.integers(1, 3000))
def test_poisson_bounds_leave_the_tail_that_they_promise(count):
    low, high = intervals.poisson_interval(count)

    def below(mean, top):
        return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(top + 1))

    assert below(high, count) == pytest.approx(0.025, rel=1e-6)
    assert 1 - below(low, count - 1) == pytest.approx(0.025, rel=1e-6)


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(1728, 1920, 0.8858, 0.9126), (36, 40, 0.7695, 0.9604), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0)],
)
def test_wilson_intervals(count, of, low, high):
    assert intervals.wilson(count, of) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


@given(st.integers(1, 5000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_wilson_holds_the_share_and_stays_a_share(counted):
    count, of = counted
    low, high = intervals.wilson(count, of)
    assert 0 <= low <= count / of <= high <= 1
    mirrored = intervals.wilson(of - count, of)
    assert mirrored == (pytest.approx(1 - high), pytest.approx(1 - low))


@pytest.mark.parametrize(("count", "of"), [(1, 0), (-1, 5), (6, 5), (0, 0)])
def test_wilson_refuses_what_is_no_share(count, of):
    with pytest.raises(ValueError, match="expected a count"):
        intervals.wilson(count, of)


@pytest.mark.parametrize(("probability", "degrees"), [(0, 1), (1, 1), (0.5, 0)])
def test_quantiles_refuse_what_is_no_probability(probability, degrees):
    with pytest.raises(ValueError, match="expected 0 < p < 1"):
        intervals.chi_square_quantile(probability, degrees)


def test_the_median_is_that_of_the_leukaemia_trial_of_every_textbook():
    # Freireich et al. 1963, remission under 6-mercaptopurine, weeks; the published median is 23.
    ended = (6, 6, 6, 7, 10, 13, 16, 22, 23)
    watched = (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)
    durations = [(float(week), True) for week in ended] + [(float(week), False) for week in watched]
    assert intervals.kaplan_meier_median(durations) == 23


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        ([], None),
        ([(5.0, False)], None),
        ([(5.0, True)], 5.0),
        ([(1.0, True), (2.0, True)], 1.0),
        ([(1.0, True), (2.0, True), (3.0, True)], 2.0),
        ([(1.0, True), (2.0, False), (3.0, False)], None),
        ([(1.0, False), (2.0, True), (3.0, True)], 2.0),
    ],
)
def test_medians_of_a_few(durations, expected):
    assert intervals.kaplan_meier_median(durations) == expected


@given(st.lists(st.integers(0, 50), min_size=1))
def test_without_censoring_the_median_is_the_lower_one(times):
    expected = sorted(times)[(len(times) - 1) // 2]
    assert intervals.kaplan_meier_median([(float(time), True) for time in times]) == expected


# ---------------------------------------------------------------- a drill made by hand


def small_world():
    """Three intrusions and two controls.

    A1/1 is caught after 2 h (one of its three messages read later), A1/2 after 10 days, A3/3 never; the ghost (4) and
    the null (5) are controls. One false case stands, one more in the warm-up.
    """
    return World(
        tenants=[tenant()],
        attacks=[
            attack(1, "A1", 1, messages_read=3),
            attack(2, "A1", 2),
            attack(3, "A3", 4, is_observable=False, first_record_at=None, first_available_at=None),
            attack(4, "A0g", 0),
            attack(5, "A0n", 0),
        ],
        records=[
            record("r1", day(0), instance=1),
            record("r1b", day(0) + HOUR, instance=1),
            record("r2", day(10) - HOUR, instance=2),
            record("r4", day(0), instance=4),
            record("r5", day(0), instance=5, actor_kind="owner"),
            record("benign", day(3), actor_kind="tester"),
            record("early", day(-5), actor_kind="owner"),
        ],
        messages=[
            read(1, 1, day(0)),
            read(1, 2, day(0) + HOUR, event_id=None, lost_to="throttled"),
            read(1, 3, day(0) + 5 * HOUR),
            read(2, 4, day(2), how="sync", event_id=None, lost_to="sync"),
            read(3, 5, day(2), event_id=None, lost_to="not_audited"),
            read(5, 6, day(2)),
        ],
    )


def small_cases():
    return [
        case(
            1, [finding(1, ["r1", "r1b"])], mailboxes=[1, 2, 9], seen=exposure([(1, 1), (1, 3), (1, 7)], open_boxes=[1])
        ),
        case(2, [finding(2, ["r2", "benign"])], mailboxes=[2]),
        case(3, [finding(3, ["benign"], detector_id="inbox_rule.effect")], seen=exposure([(9, 9)])),
        case(4, [finding(4, ["early"])], seen=exposure([(8, 8)])),
        case(5, [finding(5, ["r5"])]),
    ]


@pytest.fixture
def truth(tmp_path):
    return small_world().write(tmp_path / "truth")


def scored(truth, cases=None, notices=(), **options):
    return score({}, document(small_cases() if cases is None else cases, notices), truth, **options)


def test_recall_counts_intrusions_and_leaves_controls_out(truth):
    found = scored(truth)
    assert (found.recall_overall.instances, found.recall_overall.observable) == (3, 2)
    spans = found.recall_overall
    assert [spans.within_24_h.count, spans.within_7_d.count, spans.within_30_d.count, spans.ever.count] == [1, 1, 2, 2]
    assert (spans.ever_observable.count, spans.ever_observable.of) == (2, 2)
    assert found.recall == pytest.approx(1 / 3)
    assert (found.recall_stealth_1_to_3.within_7_d.count, found.recall_stealth_1_to_3.instances) == (1, 2)


def test_recall_is_given_by_attack_and_stealth_with_wilsons_interval(truth):
    found = scored(truth)
    assert list(found.by_attack) == ["A1", "A3", "A0g", "A0n"]
    cell = found.by_attack["A1"].by_stealth["1"].within_7_d
    assert (cell.count, cell.of, cell.share) == (1, 1, 1.0)
    assert (cell.low, cell.high) == intervals.wilson(1, 1)
    assert found.by_attack["A1"].by_stealth["2"].within_7_d.share == 0
    assert found.by_stealth["4"].ever.share == 0
    assert found.by_attack["A3"].recall.observable == 0


def test_a_control_has_a_recall_of_its_own_and_does_not_make_a_case_true(truth):
    found = scored(truth)
    null = found.by_attack["A0n"]
    assert (null.is_control, null.recall.ever.share, null.by_stealth) == (True, 1.0, {})
    assert found.by_attack["A0g"].recall.ever.share == 0
    assert found.cases.true_cases == 2


def test_testers_and_controls_make_false_cases_and_the_warm_up_none(truth):
    found = scored(truth)
    assert found.false_cases.count == 2
    assert found.false_cases_per_1000_mailbox_weeks == pytest.approx(2.5)
    low, high = intervals.poisson_interval(2)
    assert (found.false_cases.low, found.false_cases.high) == (pytest.approx(low / 0.8), pytest.approx(high / 0.8))
    assert found.false_cases.upper == pytest.approx(intervals.poisson_upper(2) / 0.8)
    assert found.cases.false_in_warm_up == 1
    assert found.cases.false_by_actor == {"owner": 1, "tester": 1}
    assert found.cases.false_by_detector == {"inbox_rule.effect": 1, "mail_access.first_seen_client": 1}


def test_a_case_stands_when_the_last_record_of_its_first_finding_could_be_read(truth):
    later = finding(9, ["r2"])
    notice = finding(8, ["r1"], is_notice=True)
    (found,) = observe({}, document([case(1, [later, notice, finding(1, ["r1", "r1b"])])]), truth).intrusions[:1]
    assert found.caught_at == day(0) + 2 * HOUR


def test_a_case_that_stood_before_tells_of_an_intruder_only_when_it_cites_one(truth):
    old, new = finding(1, ["early"]), finding(2, ["r1", "r1b"])
    (found,) = observe({}, document([case(1, [old, new])]), truth).intrusions[:1]
    assert found.caught_at == day(0) + 2 * HOUR


def test_measured_times_take_the_place_of_those_of_the_evidence(truth):
    cases = small_cases()
    found = scored(truth, stood_at={cases[1].id: day(5)})
    assert found.timing == "measured"
    # The intruder's record itself came on the tenth day: a case that stood before could not tell of it.
    assert found.by_attack["A1"].recall.within_7_d.count == 1
    found = scored(truth, stood_at={cases[0].id: day(20)})
    assert found.by_attack["A1"].recall.within_7_d.count == 0


def test_delays_are_medians_of_intrusions_with_and_without_a_case(truth):
    delay = scored(truth).delay
    assert delay.minutes_from_event.reached == 2
    assert delay.minutes_from_event.median == 120
    assert delay.minutes_from_availability.median == 60
    # The first had read two when its case stood, the second one; the third had read one when its logs ended.
    assert delay.messages_before_case.median == 2
    assert (delay.messages_before_case.reached, delay.messages_before_case.censored) == (2, 1)


def test_an_intrusion_without_a_case_is_watched_to_the_end(tmp_path):
    world = World(
        tenants=[tenant()], attacks=[attack(1), attack(2), attack(3)], records=[record("r1", day(0), instance=1)]
    )
    truth = world.write(tmp_path)
    delay = scored(truth, [case(1, [finding(1, ["r1"])])]).delay
    assert (delay.minutes_from_event.median, delay.minutes_from_event.reached, delay.minutes_from_event.censored) == (
        None,
        1,
        2,
    )
    assert delay.messages_before_case.median is None


def test_an_intrusion_that_takes_no_message_does_not_flatter_the_messages_lost(tmp_path):
    world = World(
        tenants=[tenant()],
        attacks=[attack(1), attack(2), attack(3)],
        records=[record(f"r{n}", day(n), instance=n) for n in (1, 2, 3)],
        messages=[read(3, k, day(3) - HOUR) for k in range(5)],
    )
    cases = [case(n, [finding(n, [f"r{n}"])]) for n in (1, 2, 3)]
    delay = scored(world.write(tmp_path), cases).delay
    assert (delay.messages_before_case.median, delay.messages_before_case.reached) == (5, 1)
    assert delay.minutes_from_event.reached == 3


def test_a_detection_scores_as_the_document_made_of_it(truth):
    notices = [finding(31, ["benign"], is_notice=True)]
    states = [state("token.provenance", "quiet")]
    from_document = score({}, document(small_cases(), notices, states=states), truth)
    assert score({}, detection(small_cases(), notices, states), truth) == from_document


def test_fragments_and_purity(truth):
    cases = [*small_cases(), case(6, [finding(6, ["r1b"])], mailboxes=[1])]
    found = scored(truth, cases).cases
    assert found.cases_per_intrusion == 1.5
    # Case 1 names 1 (touched), 2 (not its own) and 9 (unknown); case 2 names 2; case 6 names 1.
    assert (found.purity.count, found.purity.of) == (3, 4)
    assert found.mailboxes_unknown == 1


def test_records_that_the_truth_does_not_know_are_counted_and_no_evidence(truth):
    found = scored(truth, [case(1, [finding(1, ["nowhere"])])])
    assert (found.cases.records_unknown, found.cases.true_cases, found.recall) == (1, 0, 0.0)
    # It may have stood at any time, so it counts against the product.
    assert found.false_cases.count == 1


def test_notices_without_an_intruder_are_false_notices(truth):
    notices = [
        finding(1, ["benign"], is_notice=True),
        finding(2, ["r1"], is_notice=True),
        finding(3, ["early"], is_notice=True),
    ]
    found = scored(truth, [], notices)
    assert found.false_notices.count == 1
    assert found.false_notices.rate == pytest.approx(1.25)
    assert found.recall == 0


def test_exposure_is_compared_message_by_message(truth):
    found = scored(truth).exposure

    def counts(share):
        return share.count, share.of

    # Opened: 1, 2 and 3 of the first, 5 of the third; taken also 4, by synchronisation. 6 is a control's.
    assert counts(found.certain_recall_read) == (2, 4)
    assert counts(found.certain_recall_shown) == (2, 2)
    assert counts(found.possible_recall_taken) == (2, 5)
    assert counts(found.caught_certain_recall_read) == (2, 3)
    assert counts(found.caught_possible_recall_taken) == (2, 4)
    assert counts(found.certain_precision) == (2, 4)
    assert counts(found.certain_precision_true_cases) == (2, 3)
    assert counts(found.possible_precision) == (0, 0)
    assert found.possible_precision.share is None
    assert found.certain_precision.low is None


def test_a_count_without_upper_end_holds_what_throttling_hid(truth):
    cases = small_cases()
    found = scored(truth, [case(1, cases[0].findings, seen=exposure([(1, 1), (1, 3)], open_boxes=[1]))]).counts
    assert (found.throttled.share, found.throttled_said.share, found.others.of) == (1.0, 1.0, 0)
    closed = scored(truth, [case(1, cases[0].findings, seen=exposure([(1, 1), (1, 3)]))]).counts
    assert (closed.throttled.share, closed.throttled_said.share) == (0.0, 0.0)
    too_many = [(1, number) for number in (1, 2, 3, 7)]
    over = scored(truth, [case(1, cases[0].findings, seen=exposure(too_many, open_boxes=[1]))]).counts
    assert over.throttled.share == 0.0


@pytest.mark.parametrize(("kind", "reassured"), [("nothing_found", 1.0), ("cannot_tell", 0.0), ("found", 0.0)])
def test_reassurance_is_false_only_where_the_first_screen_reassures(truth, kind, reassured):
    found = score({}, document(kind=kind), truth)
    assert (found.reassured.share, found.reassured.of) == (reassured, 3)


def test_the_verdict_of_a_detection_is_worked_out_from_its_store(truth):
    assert score({}, detection(), truth).reassured_unknown == 3
    empty = make_tables({})
    assert score(empty, detection(), truth).reassured.share == 0.0
    assert score({}, detection(small_cases()), truth).reassured.share == 0.0


def test_calibration_is_not_assessable_while_cases_have_no_probability(truth):
    found = scored(truth)
    assert (found.calibration.state, "probability" in found.calibration.reason) == ("not_assessable", True)


# ---------------------------------------------------------------- not assessable


@pytest.mark.parametrize(
    ("streams", "epoch", "said", "expected"),
    [
        (("ual_exchange", "interactive", "non_interactive"), 2025, "not_assessable", (0, 0, 0, 1, 1, 0)),
        (("ual_exchange", "interactive", "non_interactive"), 2025, "quiet", (0, 0, 0, 0, 1, 0)),
        (("ual_exchange", "interactive"), 2025, "quiet", (0, 1, 1, 0, 0, 0)),
        (("ual_exchange", "interactive"), 2025, "not_assessable", (1, 1, 0, 0, 0, 0)),
        (("ual_exchange", "interactive"), 2025, "fired", (1, 1, 0, 0, 0, 0)),
        (("ual_exchange", "interactive", "non_interactive"), 2023, "quiet", (0, 1, 1, 0, 0, 0)),
    ],
)
def test_token_provenance_must_say_so_where_its_logs_are_missing(tmp_path, streams, epoch, said, expected):
    records = [record(name, day(0), stream=name) for name in streams]
    truth = World(tenants=[tenant(log_epoch=epoch)], records=records).write(tmp_path)
    (found,) = score({}, document(states=[state("token.provenance", said)]), truth).assessability
    assert (
        found.should.count,
        found.should.of,
        found.silent,
        found.over_cautious.count,
        found.over_cautious.of,
        found.unknown,
    ) == expected


def test_a_need_that_the_truth_cannot_judge_is_held_against_nobody(tmp_path):
    truth = World(tenants=[tenant(logs="ual-only")], records=[record("r", day(0))]).write(tmp_path)
    states = [state("inbox_rule.effect", "quiet"), state("one.nobody.knows", "quiet")]
    found = {each.detector_id: each for each in score({}, document(states=states), truth).assessability}
    assert found["one.nobody.knows"].unknown == 1
    assert {each.logs for each in found.values()} == {"ual-only"}


# ---------------------------------------------------------------- several stores


def two_worlds():
    return World(
        tenants=[tenant(), tenant(OTHER, logs="ual-only", mailboxes=2000, mailbox_weeks=200.0)],
        attacks=[attack(1), attack(2, "A2", 3, tenant_id=OTHER)],
        records=[
            record("r1", day(0), instance=1),
            record("r2", day(0), instance=2, tenant_id=OTHER),
            record("b", day(1), tenant_id=OTHER),
        ],
        messages=[read(1, 1, day(0)), read(2, 2, day(0), tenant_id=OTHER)],
    )


def test_stores_add_up_to_one_score_and_every_log_state_has_its_own(tmp_path):
    truth = two_worlds().write(tmp_path)
    first = observe({}, document([case(1, [finding(1, ["r1"])], seen=exposure([(1, 1)]))]), truth, tenants=[TENANT])
    second = observe({}, document([case(2, [finding(2, ["b"])])]), truth, tenants=[OTHER])
    found = summarise([first, second])
    assert (found.recall, found.tenants, found.false_cases_per_1000_mailbox_weeks) == (0.5, 2, 1.0)
    assert {name: group.recall.within_7_d.share for name, group in found.by_logs.items()} == {
        "full": 1.0,
        "ual-only": 0.0,
    }
    assert {name: group.false_cases.rate for name, group in found.by_logs.items()} == {"full": 0.0, "ual-only": 5.0}
    assert list(found.by_size) == ["1-250", "1001-"]
    assert found.exposure_recall == 0.5
    together = score(
        {}, document([case(1, [finding(1, ["r1"])], seen=exposure([(1, 1)])), case(2, [finding(2, ["b"])])]), truth
    )
    assert together == found
    with pytest.raises(ValueError, match="twice"):
        summarise([first, first])


def test_a_campaign_counts_in_each_tenant_and_its_interval_counts_it_once(tmp_path):
    one_hand = {"attack_id": "A13", "stealth": 2, "campaign": 1}
    truth = World(
        tenants=[tenant(), tenant(OTHER)],
        attacks=[
            attack(1, **one_hand),
            attack(2, tenant_id=OTHER, **one_hand),
            attack(3, **one_hand | {"campaign": 3}),
        ],
        records=[
            record("r1", day(0), instance=1),
            record("r2", day(0), instance=2, tenant_id=OTHER),
            record("r3", day(0), instance=3),
        ],
    ).write(tmp_path)
    found = score({}, document([case(1, [finding(1, ["r1"])])]), truth)
    recall = found.by_attack["A13"].recall.within_7_d
    assert (recall.count, recall.of) == (1, 3)
    assert (recall.low, recall.high) == intervals.wilson(2 / 3, 2)
    assert (recall.low, recall.high) == (found.recall_overall.ever.low, found.recall_overall.ever.high)
    campaigns = found.by_attack["A13"].campaigns
    assert (campaigns.count, campaigns.of, campaigns.low) == (1, 2, intervals.wilson(1, 2)[0])
    assert score_from_json(score_to_json(found)) == found


def test_an_attack_on_one_tenant_is_no_campaign(tmp_path):
    truth = two_worlds().write(tmp_path)
    found = score({}, document([case(1, [finding(1, ["r1"])])]), truth)
    assert [one.campaigns for one in found.by_attack.values()] == [None, None]
    recall = found.recall_overall.within_7_d
    assert (recall.low, recall.high) == intervals.wilson(1, 2)


def test_what_other_tenants_suffered_counts_for_nothing(tmp_path):
    truth = two_worlds().write(tmp_path)
    cases = [case(1, [finding(1, ["r1"])]), case(2, [finding(2, ["b"])])]
    found = score({}, document(cases, [finding(3, ["b"], is_notice=True)]), truth, tenants=[TENANT])
    assert (found.recall, found.false_cases.count, found.false_notices.count, found.cases.cases) == (1.0, 0, 0, 1)


def test_a_tenant_of_another_drill_is_refused(truth):
    with pytest.raises(UsageError, match="a tenant of the drill"):
        scored(truth, tenants=["somebody"])


def test_a_truth_without_a_file_is_refused(truth):
    (truth / "records.parquet").unlink()
    with pytest.raises(UsageError, match=r"records\.parquet"):
        scored(truth)


def test_nothing_scored_gives_no_numbers_rather_than_zeros(tmp_path):
    found = score({}, document(), World().write(tmp_path))
    assert (found.recall, found.false_cases_per_1000_mailbox_weeks, found.exposure_recall) == (None, None, None)
    assert (found.median_messages_before_case, found.reassured.share, found.by_attack) == (None, None, {})


# ---------------------------------------------------------------- JSON


def test_json_holds_the_headline_figures_and_comes_back_equal(truth):
    found = scored(truth)
    content = score_to_json(found)
    plain = json.loads(content)
    assert plain["simulated"] is True
    assert plain["recall"] == pytest.approx(1 / 3)
    assert plain["by_attack"]["A1"]["by_stealth"]["2"]["within_30_d"]["count"] == 1
    for name in ("false_cases_per_1000_mailbox_weeks", "exposure_recall", "exposure_precision"):
        assert isinstance(plain[name], float), name
    assert plain["median_messages_before_case"] == 2
    assert score_from_json(content) == found
    assert score_to_json(score_from_json(content)) == content


def test_json_of_another_shape_is_refused():
    with pytest.raises(msgspec.ValidationError):
        score_from_json(b'{"recall": 1}')


# ---------------------------------------------------------------- properties

INSTANCES = 6


def random_world(tmp_path):
    """Six intrusions with three records each and two messages each, and six benign records."""
    return World(
        tenants=[tenant()],
        attacks=[attack(n, f"A{n % 3 + 1}", n % 4 + 1, first=n) for n in range(INSTANCES)],
        records=[
            *(record(f"r{n}.{k}", day(n) + k * DAY, instance=n) for n in range(INSTANCES) for k in range(3)),
            *(record(f"b{k}", day(k)) for k in range(6)),
        ],
        messages=[read(n, 10 * n + k, day(n) + k * DAY) for n in range(INSTANCES) for k in range(2)],
    ).write(tmp_path)


EVENT_IDS = [*(f"r{n}.{k}" for n in range(INSTANCES) for k in range(3)), *(f"b{k}" for k in range(6)), "unknown"]
evidence = st.lists(st.sampled_from(EVENT_IDS), min_size=1, max_size=4, unique=True)
listed = st.lists(st.tuples(st.integers(0, INSTANCES), st.integers(0, 60)), max_size=4, unique=True)


@st.composite
def documents(draw):
    cases = []
    for number in range(draw(st.integers(0, 6))):
        findings = [finding(100 * number + place, draw(evidence)) for place in range(draw(st.integers(1, 3)))]
        cases.append(case(number, findings, mailboxes=[number], seen=exposure(draw(listed))))
    return cases


@pytest.fixture(scope="module")
def random_truth(tmp_path_factory):
    return random_world(tmp_path_factory.mktemp("truth"))


@QUIET
@given(documents(), st.randoms(use_true_random=False))
def test_order_of_cases_and_findings_changes_nothing(random_truth, cases, shuffled):
    before = score({}, document(cases), random_truth)
    mixed = [replace(each, findings=tuple(shuffled.sample(each.findings, len(each.findings)))) for each in cases]
    shuffled.shuffle(mixed)
    assert score({}, document(mixed), random_truth) == before


@QUIET
@given(documents(), st.integers(0, INSTANCES - 1))
def test_a_true_case_more_never_lowers_recall_and_never_costs_a_false_case(random_truth, cases, instance):
    before = score({}, document(cases), random_truth)
    more = case(99, [finding(9_900, [f"r{instance}.0"])], seen=exposure([(instance, 10 * instance)]))
    after = score({}, document([*cases, more]), random_truth)
    for span in ("within_24_h", "within_7_d", "within_30_d", "ever"):
        assert getattr(after.recall_overall, span).count >= getattr(before.recall_overall, span).count
    assert after.by_attack[f"A{instance % 3 + 1}"].recall.within_24_h.count >= 1
    assert after.exposure.certain_recall_read.count >= before.exposure.certain_recall_read.count
    assert after.false_cases == before.false_cases
    assert (after.delay.minutes_from_event.median or 0) <= (before.delay.minutes_from_event.median or math.inf)


@QUIET
@given(documents(), st.integers(0, 5))
def test_a_false_case_more_changes_the_rate_and_no_recall(random_truth, cases, number):
    before = score({}, document(cases), random_truth)
    after = score({}, document([*cases, case(99, [finding(9_900, [f"b{number}"])])]), random_truth)
    assert after.false_cases.count == before.false_cases.count + 1
    assert after.recall_overall == before.recall_overall
    assert after.by_attack == before.by_attack
    assert after.delay == before.delay


@QUIET
@given(documents())
def test_the_score_equals_a_plain_reference(random_truth, cases):
    found = score({}, document(cases), random_truth)
    cited = {
        number: [
            n
            for n in range(INSTANCES)
            if any(item.event_id.startswith(f"r{n}.") for each in one.findings for item in each.evidence)
        ]
        for number, one in enumerate(cases)
    }
    assert found.recall_overall.ever.count == len({n for hit in cited.values() for n in hit})
    assert found.false_cases.count == sum(not hit for hit in cited.values())
    assert found.cases.true_cases == sum(bool(hit) for hit in cited.values())
    said = {(line.mailbox, line.internet_message_id) for one in cases for line in one.exposure.messages}
    taken = {(address(n), f"<{10 * n + k}@contoso.example>") for n in range(INSTANCES) for k in range(2)}
    assert found.exposure.certain_precision.count == len(said & taken)
    assert found.exposure.certain_precision.of == len(said)
    assert found.exposure.certain_recall_read.of == len(taken)


def test_the_order_of_the_truth_changes_nothing(tmp_path):
    world = small_world()
    before = scored(world.write(tmp_path / "a"))
    shuffled = random.Random(7)
    for rows in (world.tenants, world.records, world.messages, world.attacks):
        shuffled.shuffle(rows)
    assert scored(world.write(tmp_path / "b")) == before


# ---------------------------------------------------------------- with a store


def access(event_id, at, **changes):
    row = {
        "event_id": event_id,
        "occurred_at": at,
        "tenant_id": TENANT,
        "mailbox_key": box(1),
        "mailbox_upn": address(1),
        "actor": address(1),
        "actor_key": address(1),
        "session_id": "s1",
        "access_type": "bind",
        "client_ip": "198.51.100.7",
        "ip_class": "public",
        "effective_app": "app",
        **changes,
    }
    return {key: value for key, value in row.items() if value is not None}


def store_rows():
    """A bind record that lists message 1, and a sync of the inbox in which message 2 stood."""
    bind = access("r1", day(0))
    sync = access("r1b", day(0) + HOUR, access_type="sync", folder_id="F", folder_path="\\Inbox")
    shown = access("old", day(-1), session_id="s0")
    common = ("event_id", "occurred_at", "mailbox_key", "mailbox_upn")
    items = [
        {
            **{name: row[name] for name in common},
            "kind": "message",
            "folder_path": "\\Inbox",
            "internet_message_id": text,
        }
        for row, text in ((bind, "<1@contoso.example>"), (shown, "<4@contoso.example>"))
    ]
    accesses = [bind, sync, shown]
    extra = ("access_type", "folder_id", "folder_path")
    events = [
        {**{key: value for key, value in row.items() if key not in extra}, "source": "unified_audit"}
        for row in accesses
    ]
    return {"mail_accesses": accesses, "accessed_items": items, "events": events}


def test_what_a_document_only_counts_is_looked_up_in_the_store(tmp_path):
    world = World(
        tenants=[tenant()],
        attacks=[attack(1)],
        records=[record("r1", day(0), instance=1), record("r1b", day(0) + HOUR, instance=1)],
        messages=[read(1, 1, day(0)), read(1, 4, day(0) + HOUR, how="sync", event_id=None, lost_to="sync")],
    )
    truth = world.write(tmp_path)
    tables = make_tables(store_rows())
    (draft,) = cases_of([finding(1, ["r1", "r1b"])], tables).cases
    seen = exposure_under(tables, Selection.of_events(draft.id, draft.access_ids), limit=0)
    assert (seen.certain, seen.possible, seen.messages) == (1, 1, ())
    made = case(1, draft.findings, seen=seen)
    made = replace(made, id=draft.id)
    found = score(tables, document([made]), truth).exposure
    assert (found.certain_recall_read.count, found.certain_recall_read.of) == (1, 1)
    assert (found.possible_recall_taken.count, found.possible_recall_taken.of) == (2, 2)
    assert (found.possible_precision.count, found.possible_precision.of) == (1, 1)
    with pytest.raises(UsageError, match="this very store"):
        score(tables, document([replace(made, id="case-0")]), truth)


def test_doubtful_messages_are_possible_whether_listed_or_looked_up(tmp_path):
    """Message 4 was read from the owner's own exit; the intruder did not take it."""
    world = World(
        tenants=[tenant()],
        attacks=[attack(1)],
        records=[record("r1", day(0), instance=1)],
        messages=[read(1, 1, day(0))],
    )
    truth = world.write(tmp_path)
    tables = make_tables(store_rows())
    (draft,) = cases_of([finding(1, ["r1", "old"])], tables).cases
    selection = Selection.of_events(draft.id, set(draft.access_ids) - {"old"}, doubtful=["old"])
    listed = exposure_under(tables, selection)
    assert (listed.certain, listed.possible, len(listed.possible_messages)) == (1, 1, 1)
    for seen in (listed, replace(listed, messages=())):
        made = replace(case(1, draft.findings, seen=seen), id=draft.id)
        found = score(tables, document([made]), truth).exposure
        assert (found.certain_precision.count, found.certain_precision.of) == (1, 1)
        assert (found.certain_recall_read.count, found.certain_recall_read.of) == (1, 1)
        assert (found.possible_precision.count, found.possible_precision.of) == (0, 1)


def test_messages_that_a_rule_sent_on_are_possible(tmp_path):
    world = World(
        tenants=[tenant()],
        attacks=[attack(1)],
        records=[record("r1", day(0), instance=1)],
        messages=[read(1, 1, day(0)), read(1, 4, day(0), how="sync", event_id=None, lost_to="sync")],
    )
    truth = world.write(tmp_path)
    tables = make_tables(store_rows())
    (draft,) = cases_of([finding(1, ["r1"])], tables).cases
    seen = exposure_under(tables, Selection.of_events(draft.id, ["r1"]))
    (line,) = seen.messages
    sent = replace(line, internet_message_id="<4@contoso.example>", reason="forwarded")
    seen = replace(seen, possible=1, possible_forwarded=1, possible_messages=(sent,))
    made = replace(case(1, draft.findings, seen=seen), id=draft.id)
    found = score(tables, document([made]), truth).exposure
    assert (found.certain_recall_read.count, found.possible_recall_taken.count) == (1, 2)
    assert (found.possible_precision.count, found.possible_precision.of) == (1, 1)


def test_what_a_case_means_is_taken_as_given_where_it_is_given():
    tables = make_tables(store_rows())
    seen = exposure_under(tables, Selection.of_events("c", ["r1", "old"]), limit=0)
    made = case(1, [finding(1, ["r1"])], seen=seen)
    given = {made.id: Selection.of_events(made.id, ["r1"], doubtful=["old"])}
    said = said_of([made], tables, {}, given)[made.id]
    assert said.certain == {(box(1), "<1@contoso.example>")}
    assert said.possible == {(box(1), "<4@contoso.example>")}
