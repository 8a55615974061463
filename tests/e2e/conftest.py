"""One Airflow on the stage for all DAG tests: it takes half a minute to start."""

from collections.abc import Iterator

import pytest

from tests.e2e import stage
from warehouse.sandbox import local_airflow


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_airflow.Running]:
    """A running Airflow in a folder with a space in its name."""
    s = stage.build(tmp_path_factory.mktemp("a stage"))
    with local_airflow.start(s, retry_seconds=1) as running:
        yield running
