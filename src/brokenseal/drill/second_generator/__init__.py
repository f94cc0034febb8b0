"""A second generator of drills, plainer than the first and written apart from it; all that it writes is simulated.

Where a detector does well on the drills of one generator only, it has learned the generator and not the intruder. So
this one shares nothing with the first but the settings, the declaration of the truth and the seeded random numbers;
what it models, it models in another way::

    places     providers, leases, exits              clients    programs and how they write of themselves
    company    people, mailboxes, applications       founding   how a tenant is drawn
    clock      one queue of events for a tenant      lives      people: Markov chains within each look at the mail
    desk       sessions, tokens, sign-in lines       machinery  services, applications, guests, strangers
    exchange   auditing of mailboxes                 affairs    administration, absences, roll-outs
    post       mail between people and from outside  intruders  attacks and controls
    outbox     lateness, copies, gaps, files         books      truth
"""

from brokenseal.drill.second_generator.plain import generate_plain

__all__ = ["generate_plain"]
