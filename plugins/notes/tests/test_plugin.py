"""The plugin as a whole, without a server: what requests, events and jobs make of each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from appliance.testing import ConfigError, harness

FOLDER = Path(__file__).parents[1]
NOTES = "/api/v1/notes"
LONG = "Bread is baked from flour. The oven is hot. Flour and water make the dough for bread. My hat is red."


async def store(app, content="text", **more) -> str:
    reply = await app.request("POST", NOTES, json={"content": content, **more})
    assert reply.status == 201, reply.json()
    return reply.json()["id"]


async def shown(app, id: str):
    return (await app.request("GET", f"{NOTES}/{id}")).json()


def told(app, id: str) -> list[str]:
    """Types of the events in the stream of a note."""
    return [event.type for event in app.stored if event.stream == f"note-{id}"]


async def test_a_stored_note_is_told_of_twice_with_one_correlation_and_its_jobs_are_queued_with_it(autojump_clock):
    async with harness(FOLDER) as app:
        id = await store(app, "Bake bread.", title="Bread", tags=["food"])

        created, updated, *queued = app.stored
        assert (created.type, updated.type) == ("NoteCreated", "NoteUpdated")
        assert [job.order.type for job in app.jobs.waiting] == [
            "Embedding", "TitleGeneration", "ConceptTagging", "Linking",
        ]  # fmt: skip
        assert {job.order.note_id for job in app.jobs.waiting} == {id}
        assert {event.type for event in queued} == {"JobQueued"}
        labels = [app.ctx.desk.ports.catalog.view(event) for event in (created, updated)]
        assert labels[0].correlation == labels[1].correlation != ""


async def test_jobs_find_title_concepts_and_vector_and_each_is_told_as_an_update(autojump_clock):
    async with harness(FOLDER) as app:
        id = await store(app, LONG)
        results = await app.run_jobs()
        note = await shown(app, id)

        assert len(results) == 4
        assert note["note"]["title"] == "Bread is baked from flour"
        assert "bread" in note["concepts"]
        assert [event.operation for event in app.events if getattr(event, "operation", "") == "job"] == ["job"] * 4
        assert await app.panel("Notes") == {"stored": 1, "deleted": 0, "embedded": 1, "not embedded": 0}


async def test_an_empty_pipeline_stores_only(autojump_clock):
    async with harness(FOLDER) as app:
        await store(app, pipeline=[])

        assert app.jobs.waiting == []


@pytest.mark.parametrize(
    ("config", "wish", "modes"),
    [
        ({}, {}, []),
        ({}, {"revision_mode": "light"}, ["light"]),
        ({}, {"pipeline": ["AiRevision"]}, ["standard"]),
        ({}, {"pipeline": ["AiRevision"], "revision_mode": "none"}, []),
        ({}, {"pipeline": ["ai_revision"], "revision_mode": "full"}, ["full"]),
        ({"endpoint": "http://127.0.0.1:1/v1"}, {}, ["standard"]),
        ({"endpoint": "http://127.0.0.1:1/v1"}, {"revision_mode": "none"}, []),
        ({"revision_mode": "contextual"}, {}, ["contextual"]),
        ({"pipeline": ["embedding"]}, {"revision_mode": "standard"}, ["standard"]),
    ],
)
async def test_a_revision_is_made_when_it_is_asked_for_or_a_model_is_there(autojump_clock, config, wish, modes):
    async with harness(FOLDER, config) as app:
        await store(app, **wish)

        revisions = [job.order for job in app.jobs.waiting if job.order.type == "AiRevision"]
        assert [order.arguments["mode"] for order in revisions] == modes


async def test_without_a_model_a_revision_is_what_the_text_says_already_and_says_so(autojump_clock):
    async with harness(FOLDER) as app:
        id = await store(app, LONG, pipeline=["ai_revision"], revision_mode="standard")
        await app.run_jobs()
        note = await shown(app, id)

        assert note["revised"]["content"] == "Flour and water make the dough for bread."
        assert note["revised"]["ai_metadata"] == {"method": "extractive", "mode": "standard", "generated": False}
        assert (note["revised"]["model"], note["revised"]["generation_count"]) == (None, 1)
        assert told(app, id) == ["NoteCreated", "NoteUpdated", "NoteRevisionCreated", "NoteUpdated"]
        assert app.events[-1].has_ai_content is True
        assert [percent for _, percent, _ in app.jobs.progress] == [10, 90]


async def test_a_new_text_ends_the_old_revision_and_asks_for_what_follows_again(autojump_clock):
    async with harness(FOLDER, {"pipeline": ["embedding"]}) as app:
        id = await store(app, LONG, revision_mode="standard")
        await app.run_jobs()
        await app.request("PATCH", f"{NOTES}/{id}", json={"content": "New words."})
        await app.request("PATCH", f"{NOTES}/{id}", json={"starred": True})
        queued = [job.order.type for job in app.jobs.waiting]
        note = await shown(app, id)

        assert queued == ["Embedding"]
        assert (note["revised"]["content"], note["revised"]["is_user_edited"]) == ("New words.", True)


async def test_what_was_made_of_an_old_text_does_not_come_upon_the_new_one(autojump_clock):
    """The job has read the old text when the new one comes: what it made is dropped."""
    async with harness(FOLDER) as app:
        id = await store(app, "Old title.", pipeline=["title_generation"])
        job = app.jobs.waiting[0]
        made = trio.Event()
        aside = app.ctx.desk.threads

        async def slow(work):
            await app.request("PATCH", f"{NOTES}/{id}", json={"content": "New title."})
            made.set()
            return await aside(work)

        object.__setattr__(app.ctx.desk, "threads", slow)
        await job.type.run(run_of(job))
        object.__setattr__(app.ctx.desk, "threads", aside)

        assert made.is_set()
        assert (await shown(app, id))["note"]["title"] is None
        await app.run_jobs()
        assert (await shown(app, id))["note"]["title"] == "New title"


def run_of(job):
    """A queued job's attempt, begun by hand."""

    class Run:
        id, type, namespace, memory = job.id, job.order.type, job.order.namespace, job.order.memory
        note_id, arguments, attempt, cause = job.order.note_id, job.order.arguments, 1, job.order.cause

        async def progress(self, percent: int, message: str = "") -> None:
            await trio.lowlevel.checkpoint()

    return Run()


async def test_links_lead_to_notes_that_are_alike_and_still_there(autojump_clock):
    async with harness(FOLDER) as app:
        loaf = await store(app, "Rye bread with sourdough.", pipeline=["embedding"])
        roll = await store(app, "Bread rolls of rye flour.", pipeline=["embedding"])
        await store(app, "The bicycle chain.", pipeline=["embedding"])
        await app.run_jobs()
        id = await store(app, "Sourdough rye bread rolls.", pipeline=["linking"])
        await app.run_jobs()
        before = {link["note_id"] for link in (await shown(app, id))["links"]}
        await app.request("DELETE", f"{NOTES}/{roll}")

        assert before == {loaf, roll}
        assert [link["note_id"] for link in (await shown(app, id))["links"]] == [loaf]
        assert "NoteLinksUpdated" in told(app, id)


async def test_a_purged_note_leaves_nothing_and_tells_no_update(autojump_clock):
    async with harness(FOLDER) as app:
        id = await store(app, LONG)
        await app.run_jobs()
        reply = await app.request("POST", f"{NOTES}/{id}/purge")
        await app.run_jobs()

        assert reply.json()["status"] == "queued"
        assert await app.ctx.list() == []
        assert told(app, id)[-2:] == ["NoteDeleted", "NoteUpdated"]
        assert app.events[-1]["job_type"] == "PurgeNote"


async def test_a_job_of_another_kind_about_no_note_of_ours_tells_nothing(autojump_clock):
    async with harness(FOLDER) as app:
        await app.emit("JobCompleted", {"job_id": "j", "job_type": "Other"})
        await app.emit("JobCompleted", {"job_id": "k", "job_type": "Other", "note_id": "nobody's"})
        await app.settle()

        assert [event.type for event in app.stored] == ["JobCompleted", "JobCompleted"]


async def test_a_search_finds_notes_page_by_page_and_within_filters(autojump_clock):
    async with harness(FOLDER) as app:
        for n in range(5):
            await store(app, f"bread number {n}", tags=["odd" if n % 2 else "even"], pipeline=["embedding"])
        await store(app, "bicycle", pipeline=["embedding"])
        await app.run_jobs()
        whole = (await app.request("GET", f"{NOTES}/search?q=bread")).json()
        paged = (await app.request("GET", f"{NOTES}/search?q=bread&limit=2&offset=2")).json()
        odd = (await app.request("GET", f"{NOTES}?query=bread&tags=odd")).json()

        assert (whole["total"], paged["total"], odd["total"]) == (5, 5, 2)
        assert paged["notes"] == whole["notes"][2:4]
        assert {tuple(row["tags"]) for row in odd["notes"]} == {("odd",)}
        assert [row["score"] for row in whole["notes"]] == sorted(
            [row["score"] for row in whole["notes"]], reverse=True
        )


async def test_all_vectors_are_made_anew_with_progress(autojump_clock):
    async with harness(FOLDER) as app:
        for n in range(3):
            await store(app, f"bread {n}", pipeline=[])
        gone = await store(app, "bread gone", pipeline=[])
        await app.request("DELETE", f"{NOTES}/{gone}")
        asked = await app.act("re_embed")
        (result,) = await app.run_jobs()
        found = (await app.request("GET", f"{NOTES}/search?q=bread")).json()

        assert asked["job_id"]
        assert result == {"notes": 3}
        assert found["total"] == 3
        assert [(percent, message) for _, percent, message in app.jobs.progress] == [(99, "3 of 3")]


async def test_while_thousands_of_vectors_are_loaded_others_have_their_turn(autojump_clock):
    async with harness(FOLDER) as app:
        wish = {"notes": [{"content": f"bread {n}", "pipeline": []} for n in range(100)]}
        for _ in range(3):
            assert (await app.request("POST", f"{NOTES}/bulk", json=wish)).status == 201
        await app.ctx.enqueue("ReEmbedAll")
        await app.run_jobs()
    turns = 0

    async def neighbour() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with harness(FOLDER) as fresh, trio.open_nursery() as nursery:
        fresh.log.__dict__.update(app.log.__dict__)
        nursery.start_soon(neighbour)
        found = (await fresh.request("GET", f"{NOTES}/search?q=bread&limit=0")).json()
        nursery.cancel_scope.cancel()

    assert found["total"] == 300
    assert turns > 300 / 20


async def test_memories_are_named_by_the_configuration_if_it_names_any(autojump_clock):
    async with harness(FOLDER, {"memories": ["work"]}) as app:
        statuses = [
            (await app.request("POST", NOTES, json={"content": ""}, headers={"X-Fortemi-Memory": memory})).status
            for memory in ("work", "home", "")
        ]

        assert statuses == [201, 404, 201]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"pipeline": ["dance"]}, "dance"),
        ({"max_chars": 0}, "max_chars"),
        ({"link_above": 2.0}, "link_above"),
        ({"revision_mode": "wild"}, "wild"),
        ({"max_char": 5}, "max_chars"),
    ],
)
async def test_a_configuration_that_cannot_be_is_refused(table, words):
    with pytest.raises(ConfigError) as caught:
        async with harness(FOLDER, table):
            pass

    assert words in caught.value.message + caught.value.hint


async def test_the_key_of_the_model_is_not_shown_with_the_configuration():
    async with harness(FOLDER, {"key": "sk-planted"}) as app:
        assert "sk-planted" not in repr(app.ctx.config)
