"""What the DAG files share: the datasets' names, their assets, the date of a night. Nothing here may be slow to import.

Not here: any step of a night (``warehouse/night.py``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from airflow.sdk import Asset, CronTriggerTimetable, Param

from warehouse.core.periods import JAKARTA
from warehouse.core.settings import get_settings

OWNER = "data_engineer"

# Emitted when the marts must be built without waiting for all datasets.
REFRESH = Asset("marts/refresh", uri="warehouse://marts/refresh", group="marts")

DAY_PARAM = {
    "day": Param(None, type=["null", "string"], format="date", description="Date of the night; empty = the run's own.")
}


@dataclass(frozen=True)
class Dataset:
    """The head of a contract: as much as a DAG's schedule and documentation need."""

    name: str
    title: str
    purpose: str
    extras: dict[str, Any]

    @property
    def agency(self) -> str:
        return self.name.partition("/")[0]


def dataset_names() -> list[str]:
    folder = get_settings().contracts_dir
    return sorted(f"{path.parent.name}/{path.name.removesuffix('.odcs.yaml')}" for path in folder.glob("*/*.odcs.yaml"))


def read_dataset(name: str) -> Dataset:
    """Read without the contract models: they take longer to import than a DAG file may take to parse."""
    path: Path = get_settings().contracts_dir / f"{name}.odcs.yaml"
    with path.open("rb") as file:
        head = yaml.load(file, Loader=yaml.CSafeLoader)
    extras = {item["property"]: item["value"] for item in head["customProperties"]}
    return Dataset(name, head["name"], head["description"]["purpose"], extras)


def dataset_asset(name: str) -> Asset:
    """Updated each time an ingest of the dataset has ended, however it ended."""
    return Asset(name, uri=f"warehouse://datasets/{name}", group="datasets")


def nightly(hour: int, minute: int) -> CronTriggerTimetable:
    """Each night in Jakarta's time. A DAG that was never scheduled waits for its hour instead of running at once."""
    return CronTriggerTimetable(f"{minute} {hour} * * *", timezone=str(JAKARTA), run_immediately=timedelta(0))


def night_of(dag_run: Any, params: dict[str, Any]) -> date:
    """The date of the night a run belongs to, in Jakarta: what was asked for, else when it was due."""
    if day := params.get("day"):
        return date.fromisoformat(day)
    due: datetime = dag_run.logical_date or dag_run.run_after
    return due.astimezone(JAKARTA).date()


def newest_night(events: Iterator[Any], fallback: date) -> date:
    """The newest night among the asset events that started a run."""
    return max(
        (date.fromisoformat(event.extra["night"]) for event in events if "night" in event.extra), default=fallback
    )
