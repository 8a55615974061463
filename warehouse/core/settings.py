"""Where things live, which keys to use, which region: the only module that reads the environment.

Every setting is an environment variable ``WAREHOUSE_<NAME>``. Not here: what a dataset looks like (contracts), what an
agency's protocol does (agencies).
"""

import json
import os
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from warehouse.core.clock import Clock
from warehouse.core.errors import ConfigError

# Variables that hold keys: never handed on to a process that has no use for them.
KEY_VARIABLES = frozenset(
    f"WAREHOUSE_{prefix}{name}"
    for prefix in ("", "NEXT_")
    for name in ("LANDING_PUB", "LANDING_KEY", "PSEUDONYM_KEY", "VAULT_KEY")
)


def environment_without_keys() -> dict[str, str]:
    """What a child process sees that has no use for keys."""
    return {name: value for name, value in os.environ.items() if name not in KEY_VARIABLES}


# Beside the keys of a sandbox; without it no key may lie in the home, and no clock may be moved.
SANDBOX_MARK = "SANDBOX"
PROJECT_DIR = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """Paths are absolute after validation. ``home`` holds all runtime state."""

    model_config = SettingsConfigDict(env_prefix="WAREHOUSE_", frozen=True)

    home: Path = Field(default=PROJECT_DIR / "var", description="Folder of all runtime state (WAREHOUSE_HOME)")
    project_dir: Path = Field(default=PROJECT_DIR, description="Checkout with expectations/ and dbt_project/")
    region: str = Field(default="36.71", description="Kemendagri code of the city")
    ledger_url: str | None = Field(default=None, description="SQLAlchemy URL; default SQLite under home")
    keys_dir: Path | None = Field(
        default=None, description="Folder with landing.pub, landing.key, pseudonym.key, vault.key"
    )
    keys_from: Literal["files", "environment", "airflow"] = Field(
        default="files", description="Where the keys stand: files in keys_dir, these settings, or Airflow's secrets"
    )
    landing_pub: SecretStr | None = Field(default=None, description="The key itself, with keys_from=environment")
    landing_key: SecretStr | None = Field(default=None, description="The key itself, with keys_from=environment")
    pseudonym_key: SecretStr | None = Field(default=None, description="The key itself, with keys_from=environment")
    vault_key: SecretStr | None = Field(default=None, description="The key itself, with keys_from=environment")
    next_landing_pub: SecretStr | None = Field(default=None, description="Its successor, while keys are changed")
    next_landing_key: SecretStr | None = Field(default=None, description="Its successor, while keys are changed")
    next_pseudonym_key: SecretStr | None = Field(default=None, description="Its successor, while keys are changed")
    next_vault_key: SecretStr | None = Field(default=None, description="Its successor, while keys are changed")
    endpoints_file: Path | None = Field(default=None, description="JSON: server addresses that replace the contracts'")
    secrets_dir: Path | None = Field(default=None, description="Folder with one file per agency credential")
    now: datetime | None = Field(default=None, description="Fixes the clock (tests, sandbox); else the system's")
    duckdb_memory: str = Field(default="8GB", description="Memory limit of each DuckDB connection we open")
    duckdb_threads: int = Field(default=2, description="Threads of each DuckDB connection we open")
    sql_seconds: float = Field(default=300, gt=0, description="Longest time of a `warehouse sql` or `micro` query")
    sql_rows: int = Field(default=200_000, ge=1, description="Most rows that `warehouse sql` and `micro` answer with")
    sql_spill: str = Field(default="4GB", description="Most disk that a query of `warehouse sql` and `micro` may take")
    disclosure_threshold: int = Field(
        default=5,
        ge=2,
        description="Counts from 1 to one below this are rounded to 0 or to this: one of four who knows the other three"
        " could be named",
    )
    disclosure_small_base: int = Field(
        default=10, ge=2, description="Below this denominator shares of 0% and 100% are not shown: they speak of all"
    )
    micro_class_size: int = Field(
        default=5,
        ge=2,
        description="Persons who must share a description in micro.duckdb, else it is coarsened: the city shows no"
        " counts below five elsewhere either, and an acquaintance who knows place, age and sex is left with five",
    )
    disclosure_revision_dates: str = Field(
        default="01-15 04-15 07-15 10-15",
        pattern=r"^((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])( |$))*$",
        description="Days of each year (MM-DD, blanks between) on which published figures may change by few people: two"
        " weeks after a quarter's registry, so that many small corrections come at once and none stands out",
    )
    readers_group: str | None = Field(default=None, description="Group that may read releases and ops; default all")
    reports_group: str | None = Field(default=None, description="Group that may read the monitors' site; default all")
    micro_group: str | None = Field(default=None, description="Group that may read micro.duckdb; default owner only")
    report_url: str | None = Field(default=None, description="Address monitors open the report site at")

    _ahead: timedelta = PrivateAttr(default=timedelta())

    def model_post_init(self, _context: Any) -> None:
        object.__setattr__(self, "home", self.home.expanduser().absolute())
        if (self.keys / SANDBOX_MARK).is_file():
            self._ahead = _days_ahead(self.home / "sandbox" / "clock.json")

    @property
    def keys(self) -> Path:
        return (self.keys_dir or self.home / "keys").absolute()

    @property
    def secrets(self) -> Path:
        return (self.secrets_dir or self.home / "sandbox" / "secrets").absolute()

    @property
    def endpoints(self) -> Path:
        return (self.endpoints_file or self.home / "sandbox" / "endpoints.json").absolute()

    @property
    def ledger(self) -> str:
        return self.ledger_url or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def landing_dir(self) -> Path:
        return self.home / "landing"

    @property
    def vault_dir(self) -> Path:
        return self.home / "vault"

    @property
    def lake_dir(self) -> Path:
        return self.home / "lake"

    @property
    def build_file(self) -> Path:
        return self.home / "build" / "warehouse.duckdb"

    @property
    def releases_dir(self) -> Path:
        return self.home / "releases"

    @property
    def current(self) -> Path:
        return self.home / "current"

    @property
    def ops_file(self) -> Path:
        return self.home / "ops.duckdb"

    @property
    def reports_dir(self) -> Path:
        return self.home / "reports"

    @property
    def internal_dir(self) -> Path:
        return self.home / "internal"

    @property
    def register_dir(self) -> Path:
        return self.home / "register"

    @property
    def logs_dir(self) -> Path:
        return self.home / "logs"

    @property
    def tmp_dir(self) -> Path:
        return self.home / "tmp"

    @property
    def contracts_dir(self) -> Path:
        return self.project_dir / "expectations" / "sources"

    @property
    def mart_rules_dir(self) -> Path:
        return self.project_dir / "expectations" / "marts"

    @property
    def dbt_dir(self) -> Path:
        return self.project_dir / "dbt_project"

    @property
    def seeds_dir(self) -> Path:
        return self.dbt_dir / "seeds"

    @property
    def clock(self) -> Clock:
        return Clock(self.now, self.ahead)

    def utc_now(self) -> datetime:
        """The clock's time, always in UTC and never naive."""
        return self.clock.now()

    @property
    def ahead(self) -> timedelta:
        """By how much a sandbox has moved its clock (``warehouse sandbox tomorrow``); nothing elsewhere."""
        return self._ahead

    def standing_at(self, moment: datetime) -> "Settings":
        """The same settings with the clock fixed at ``moment``."""
        return self.model_copy(update={"now": moment - self.ahead})

    def today(self) -> date:
        """Today's date in Asia/Jakarta."""
        return self.clock.today()


def _days_ahead(file: Path) -> timedelta:
    try:
        return timedelta(days=json.loads(file.read_text(encoding="utf-8"))["days_ahead"])
    except FileNotFoundError:
        return timedelta()


@lru_cache
def get_settings() -> Settings:
    """The settings of this process; raises ConfigError naming the variables that are wrong, never their values."""
    try:
        return Settings()
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        names = ", ".join(sorted({f"WAREHOUSE_{str(fault['loc'][0]).upper()}" for fault in faults}))
    raise ConfigError(
        "SETTINGS_INVALID",
        f"Pengaturan tidak dapat dibaca: {names}",
        f"These settings cannot be read: {names}",
        "Perbaiki nilai variabel itu; jenis dan maknanya ada di warehouse/core/settings.py.",
        "Correct those variables; their kinds and meaning are in warehouse/core/settings.py.",
    )
