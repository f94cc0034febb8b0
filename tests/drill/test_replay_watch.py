"""The hour at which a case first stood, found by judging few hours."""

from hypothesis import given
from hypothesis import strategies as st

from brokenseal.drill._replay_watch import first_hour


@given(st.integers(-50, 1000), st.integers(1, 1000), st.data())
def test_halving_finds_the_hour_that_trying_every_hour_finds(low, length, data):
    high = low + length
    begins = data.draw(st.integers(low + 1, high))
    guess = data.draw(st.integers(low - 20, high + 20))
    every_hour = next(hour for hour in range(low + 1, high + 1) if hour >= begins)

    assert first_hour(lambda hour: hour >= begins, low=low, high=high, guess=guess) == every_hour


@given(st.integers(1, 1000), st.data())
def test_known_hours_are_not_asked_about_and_no_hour_twice(high, data):
    begins = data.draw(st.integers(1, high))
    asked = []

    def stands(hour):
        asked.append(hour)
        return hour >= begins

    first_hour(stands, low=0, high=high, guess=data.draw(st.integers(1, high)))

    assert {0, high}.isdisjoint(asked)
    assert len(set(asked)) == len(asked)


def test_a_right_guess_costs_two_hours():
    asked = []

    def stands(hour):
        asked.append(hour)
        return hour >= 400

    assert first_hour(stands, low=0, high=800, guess=400) == 400
    assert asked == [400, 399]


def test_a_far_guess_costs_few_hours():
    asked = []

    def stands(hour):
        asked.append(hour)
        return hour >= 700

    first_hour(stands, low=0, high=800, guess=1)
    assert len(asked) <= 16
