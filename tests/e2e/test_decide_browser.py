"""A person decides on held deliveries in Airflow's own interface, in a real browser."""

import json
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e import stage
from tests.e2e.stage import PATIENCE, run_state, runs, task_states, trigger, until
from warehouse.sandbox import local_airflow

pytestmark = pytest.mark.e2e
ADMITTED, REJECTED, SUPERSEDED = "a" * 32, "b" * 32, "c" * 32
REASON = "Puskesmas mengonfirmasi jumlah barisnya"


@pytest.fixture
def page(airflow: local_airflow.Running) -> Iterator[Page]:
    """A browser in which the monitor has signed in."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(PATIENCE * 1000)
        expect.set_options(timeout=PATIENCE * 1000)
        page.goto(airflow.url)
        page.fill("input[name=username]", "monitor")
        page.fill("input[name=password]", json.loads(local_airflow.passwords_file(airflow.s).read_text())["monitor"])
        page.click("button[type=submit]")
        page.wait_for_url(f"{airflow.url}/")
        yield page
        browser.close()


def ask(airflow: local_airflow.Running, *delivery_ids: str, decided: tuple[str, ...] = ()) -> None:
    """Hold these deliveries and let the marts ask about them."""
    stage.hold(airflow.s, *delivery_ids, decided=decided)
    with local_airflow.sign_in(airflow) as client:
        run_id = trigger(client, "marts", day="2026-11-22")
        until(lambda: run_state(client, "marts", run_id) == "success", "the end of the marts run")


def let_a_person_read() -> None:
    """Nobody answers in the seconds that the scheduler takes to close the first half of the task."""
    time.sleep(10)


def waits(client, delivery_id: str) -> bool:
    return task_states(client, "decide", f"held__{delivery_id}").get("approve") == "awaiting_input"


def test_a_person_admits_and_rejects_with_a_reason(airflow: local_airflow.Running, page: Page) -> None:
    s = airflow.s
    ask(airflow, ADMITTED, REJECTED)
    with local_airflow.sign_in(airflow) as client:
        until(lambda: waits(client, ADMITTED) and waits(client, REJECTED), "both questions")
        let_a_person_read()
        before = {run["dag_run_id"] for run in runs(client, "marts")}

        page.goto(f"{airflow.url}/required_actions")
        expect(page.get_by_text("Ditahan / held: kemenkes/eppgbm batuceper")).to_have_count(2)
        for delivery_id, button in ((REJECTED, "Reject"), (ADMITTED, "Approve")):
            page.goto(f"{airflow.url}/dags/decide/runs/held__{delivery_id}/tasks/approve/required_actions")
            expect(page.get_by_text("Baris tinggal separuh bulan lalu.")).to_be_visible()
            expect(page.get_by_role("button", name=button)).to_be_disabled()  # not without a reason
            page.fill("input[name=element_reason]", REASON)
            page.get_by_role("button", name=button).click()
        until(lambda: len(stage.calls(s, "decide")) == 2, "both decisions")

        kinds = {call["id"]: call["kind"] for call in stage.calls(s, "decide")}
        assert kinds == {ADMITTED: "admit", REJECTED: "reject"}
        assert {(call["reason"], call["by"], call["role"]) for call in stage.calls(s, "decide")} == {
            (REASON, "monitor", "walidata")
        }
        ended = [f"held__{delivery_id}" for delivery_id in (ADMITTED, REJECTED)]
        until(lambda: {run_state(client, "decide", run_id) for run_id in ended} == {"success"}, "both ends")

        def asset_run() -> list[str]:
            found = [run for run in runs(client, "marts") if run["dag_run_id"] not in before]
            return [run["dag_run_id"] for run in found if run["run_type"] == "asset_triggered"]

        assert len(until(asset_run, "the marts after the admission")) == 1

        def updated_assets() -> set[str]:
            answer = client.get("/api/v2/assets/events", params={"source_dag_id": "decide"})
            return {event["name"] for event in answer.json()["asset_events"]} if answer.is_success else set()

        assert until(updated_assets, "the asset events") == {"kemenkes/eppgbm", "marts/refresh"}


def test_an_answer_without_a_reason_is_refused_and_asked_again(airflow: local_airflow.Running) -> None:
    delivery_id = "d" * 32
    ask(airflow, delivery_id)
    path = f"/api/v2/dags/decide/dagRuns/held__{delivery_id}/taskInstances/approve/-1/hitlDetails"
    with local_airflow.sign_in(airflow, "monitor") as client:
        until(lambda: waits(client, delivery_id), "the question")
        let_a_person_read()
        client.patch(path, json={"chosen_options": ["Approve"], "params_input": {}}).raise_for_status()
        until(lambda: run_state(client, "decide", f"held__{delivery_id}") == "failed", "the refusal")
        assert delivery_id not in {call["id"] for call in stage.calls(airflow.s, "decide")}
        ask(airflow, delivery_id)
        until(lambda: waits(client, delivery_id), "the question again")


def test_a_newer_delivery_closes_the_question(airflow: local_airflow.Running) -> None:
    ask(airflow, SUPERSEDED)
    with local_airflow.sign_in(airflow) as client:
        until(lambda: waits(client, SUPERSEDED), "the question")
        ask(airflow, decided=(SUPERSEDED,))
        until(lambda: run_state(client, "decide", f"held__{SUPERSEDED}") == "success", "the closing")
        assert task_states(client, "decide", f"held__{SUPERSEDED}")["approve"] == "skipped"
        pending = client.get("/api/v2/dags/~/dagRuns/~/hitlDetails", params={"state": "awaiting_input"}).json()
        asked = {detail["task_instance"]["dag_run_id"] for detail in pending["hitl_details"]}
        assert f"held__{SUPERSEDED}" not in asked
