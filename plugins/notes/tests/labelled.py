"""Short notes of eight kinds, written by hand: what a note is like can be held against what it is about."""

from __future__ import annotations

__all__ = ["NOTES"]

BREAD = """\
Fed the sourdough starter twice today; the levain doubled in four hours at 26 degrees.
Bread recipe: 500 g flour, 350 g water, 100 g starter, 10 g salt. Bulk ferment until airy, then shape.
The loaf came out dense. Probably under-fermented dough, or the starter was too weak.
Try rye flour in the starter: it ferments faster and the crumb gets a nutty taste.
Baked two loaves in the dutch oven, lid on for 20 minutes, then lid off for a dark crust.
Baguette dough needs a wetter hydration, maybe 75 percent water, and very gentle shaping.
Cold proof overnight in the fridge gives the bread more flavour and a better oven spring.
Bought a new banneton and a scoring knife for baking; the dough no longer sticks to the basket.
"""
GARDEN = """\
Sow tomato seeds indoors in March, plant the seedlings out after the last frost.
The compost heap smells; add dry leaves and turn it, the soil in the beds needs it in spring.
Slugs ate the lettuce seedlings again. Copper tape around the raised bed, or evening patrols.
Pruned the apple tree and the roses; cut back to an outward facing bud.
Watering: the tomatoes and beans in the raised bed want water every morning in a dry week.
Mulch the strawberry bed with straw so that the fruit stays clean and the soil moist.
Plant garlic cloves in October, harvest when the leaves turn yellow in summer.
Order seeds: runner beans, courgette, basil, and marigold to plant beside the tomatoes.
"""
DATABASE = """\
The query is slow because PostgreSQL does a sequential scan; add an index on customer_id.
Vacuum the events table weekly: dead rows make the index bloat and queries slower.
Use EXPLAIN ANALYZE before tuning a SQL query, and look at the rows estimate of each join.
SQLite in WAL mode lets readers go on while one transaction writes to the database.
Migration plan: add the column as nullable, backfill rows in batches, then set the constraint.
Deadlock between two transactions that lock the same rows in another order; sort the updates.
Backup of the database with pg_dump takes an hour; try a replica and base backups instead.
The connection pool of the database was exhausted because a transaction stayed open during a request.
"""
CYCLING = """\
Replaced the bicycle chain and cassette after 4000 km; the old chain was worn to 0.75.
Puncture on the rear tyre this morning. Carry two inner tubes and a pump on the bike.
Training ride: 80 km with 900 m of climbing, average heart rate 142, legs tired on the last hill.
Brake pads of the front disc brake squeal when wet; clean the rotor with alcohol.
Saddle height up by five millimetres, knee pain on long rides is gone.
Plan a bike tour along the river: three days, 70 km each, with panniers and a tent.
The derailleur skips under load, adjust the cable tension and check the hanger of the bike.
Winter cycling: mudguards, wider tyres with less pressure, and lights on the bike for the commute.
"""
MONEY = """\
Monthly budget: rent 900, groceries 350, savings 400; the rest is for fun and repairs.
Compare the mortgage offers: fixed interest of 3.4 percent for ten years against a variable rate.
Tax return is due in July, collect receipts for the home office and donations.
Moved savings to an account with higher interest and set up a standing order for each month.
The electricity bill went up by 20 percent, budget for it and change the provider.
Index funds: invest 200 each month, do not look at the price of the shares every day.
Cancel unused subscriptions; they cost 45 a month, more than the insurance.
Emergency savings should cover three months of rent and bills before we invest any money.
"""
TRAVEL = """\
Flight to Lisbon leaves at 7:40, hotel near the old town booked for four nights.
Packing list for the trip: passport, adapter, sunscreen, light jacket, walking shoes.
Train from Vienna to Venice takes eight hours; book the seats and a night at a small hotel.
Visa for the trip to Vietnam needs a passport valid for six months and one photo.
Museum tickets in Florence sell out, reserve online before the trip; the hotel is close by.
Airport lounge access comes with the card; the flight home has a stopover of five hours.
Island ferry timetable: two boats a day, the last one back leaves the harbour at 18:00.
Travel insurance covers a cancelled flight and the hotel, keep all receipts of the journey.
"""
MUSIC = """\
Practise the C minor scale on the piano, hands apart first, then together with a metronome.
The guitar needs new strings; tune down half a step for the song in E flat.
Choir rehearsal on Tuesday: learn the alto part of the second movement by heart.
Chord progression for the bridge of the song: Am, F, C, G, then a suspended chord.
Recorded the drums with two microphones; the snare in the song is too loud in the mix.
Bach's prelude for piano: slow practice of the left hand, mind the fingering in bar twelve.
Jazz lesson: swing rhythm, walking bass, and chords without the root on the piano.
Band practice: play the new song twice with the metronome, then record the chorus.
"""
HEALTH = """\
Doctor's appointment on Monday at nine: blood pressure check and the vaccination against flu.
Slept badly; no coffee after two o'clock and no screen before sleep for a week.
Physiotherapy exercises for the shoulder: three sets of ten, twice a day, stop when it hurts.
Blood test results: iron is low, the doctor suggests tablets with vitamin C for three months.
Headache again after a day at the screen; drink more water and take breaks, ask the doctor.
Dentist says the gums are fine, next check in six months, floss each evening.
Pollen allergy is back: tablets in the evening, and ask the doctor about a treatment.
Average sleep was six hours this week; go to bed by half past ten to sleep eight.
"""

NOTES: list[tuple[str, str]] = [
    (topic, line)
    for topic, text in {
        "bread": BREAD,
        "garden": GARDEN,
        "database": DATABASE,
        "cycling": CYCLING,
        "money": MONEY,
        "travel": TRAVEL,
        "music": MUSIC,
        "health": HEALTH,
    }.items()
    for line in text.splitlines()
]
