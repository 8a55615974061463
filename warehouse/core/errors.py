"""Errors a person can act on. Every error says what happened, where, and what to do, in Indonesian and English.

No message may carry a value from a delivery: an error text ends in logs, the ledger and the report.
"""


class WarehouseError(Exception):
    """Base of every error the warehouse raises on purpose.

    code: stable, upper-case, used in the ledger and exit codes (for example ``FETCH_REFUSED``).
    message_id / message_en: what and where, in Indonesian and English.
    action_id / action_en: what the reader should do.
    """

    exit_code = 1

    def __init__(self, code: str, message_id: str, message_en: str, action_id: str = "", action_en: str = ""):
        super().__init__(f"{code}: {message_en}" + (f" {action_en}" if action_en else ""))
        self.code = code
        self.message_id = message_id
        self.message_en = message_en
        self.action_id = action_id
        self.action_en = action_en

    def as_dict(self) -> dict[str, str]:
        """The texts under the names of the ledger's columns."""
        return {
            "error_code": self.code,
            "message_id": self.message_id,
            "message_en": self.message_en,
            "action_id": self.action_id,
            "action_en": self.action_en,
        }

    def __reduce__(self) -> tuple[type["WarehouseError"], tuple[str, ...], dict[str, str]]:
        texts = (self.code, self.message_id, self.message_en, self.action_id, self.action_en)
        return (type(self), texts, self.__dict__)


class ConfigError(WarehouseError):
    """Settings, keys or contracts are missing or wrong; nothing was read or written."""

    exit_code = 2


class FetchError(WarehouseError):
    """An agency could not be reached, refused us, or answered with something that is not the data.

    attempts: how often it was asked before this was given up; 0 where it was not asked at all.
    """

    exit_code = 3
    attempts = 1

    @property
    def may_retry(self) -> bool:
        return self.code in {"FETCH_UNREACHABLE", "FETCH_TIMEOUT", "FETCH_THROTTLED", "FETCH_SERVER_ERROR"}


class UnreadableDelivery(WarehouseError):
    """Landed bytes cannot be read as any file shape of the contract; the delivery is held.

    detail: what the texts name, such as the missing columns; for a text that tells several such errors together.
    """

    exit_code = 4
    detail = ""


class BuildError(WarehouseError):
    """dbt failed or a mart rule with severity stop did; the last release stays current."""

    exit_code = 5


class ReleaseError(WarehouseError):
    """A release could not be made, verified or switched; the last one stays current."""

    exit_code = 6


class RecoveryError(WarehouseError):
    """A home or a backup is not whole, or a backup could not be made or restored; what was there stays as it was."""

    exit_code = 8
