"""Words that a person types and the warehouse knows: datasets, parts, ids; a slip gets the nearest right one.

Here: whole ids from their beginnings, suggestions, what a shell completes. Not here: whether the word fits the command
(the room that it calls).
"""

import difflib
from collections.abc import Callable, Collection, Iterable
from typing import Annotated, Any

import typer

from warehouse.core.errors import ConfigError, ReleaseError, WarehouseError
from warehouse.core.settings import get_settings

_SHORT = 8


def nearest(text: str, words: Collection[str]) -> str | None:
    """The known word most like what was typed, whatever its case; None where nothing is alike."""
    by_folded = {word.casefold(): word for word in words}
    near = difflib.get_close_matches(text.casefold(), by_folded, n=1)
    return by_folded[near[0]] if near else None


def refusal(
    kind: type[WarehouseError], code: str, what_id: str, what_en: str, word: str, words: Collection[str]
) -> WarehouseError:
    """The error for an unknown word: the nearest right one, else all of them."""
    near = nearest(word, words)
    listing = ", ".join(sorted(words)) or "-"
    return kind(
        code,
        f"{what_id} {word!r} tidak dikenal.",
        f"{what_en} {word!r} is not known.",
        f"Mungkin maksud Anda {near!r}." if near else f"Pilih salah satu: {listing}.",
        f"Did you mean {near!r}?" if near else f"Choose one of: {listing}.",
    )


def dataset(word: str) -> str:
    """A dataset as typed; raises ConfigError DATASET_UNKNOWN with the nearest that has a contract."""
    names = _datasets()
    if word in names:
        return word
    raise refusal(ConfigError, "DATASET_UNKNOWN", "Dataset", "Dataset", word, names)


def parts(name: str, words: list[str] | None) -> list[str] | None:
    """Parts of a dataset as typed; raises ConfigError PART_UNKNOWN with the nearest."""
    from warehouse.core.contract import get_contract
    from warehouse.intake import agencies

    s = get_settings()
    names = agencies.parts(s, get_contract(s.contracts_dir, name)) if words else []
    for part in words or []:
        if names and part not in names:
            raise refusal(ConfigError, "PART_UNKNOWN", "Bagian", "Part", part, names)
    return words


def whole(start: str, ids: Iterable[str], refuse: Callable[[str, Collection[str]], WarehouseError]) -> str:
    """The one id that begins with what a person typed; a release may be called by the hash at its end as well.

    One that resembles an id is refused with that id, any other stays as typed, for its room to refuse.
    Raises ConfigError ID_AMBIGUOUS.
    """
    ids = list(ids)
    fitting = sorted(name for name in ids if name.startswith(start) or name.rpartition("-")[2].startswith(start))
    if start in fitting:
        return start
    if not fitting:
        by_start = {name[: len(start)]: name for name in ids}
        if near := nearest(start, by_start):
            raise refuse(start, [by_start[near]])
        return start
    if len(fitting) > 1:
        names = ", ".join(fitting[:5]) + (", ..." if len(fitting) > 5 else "")
        raise ConfigError(
            "ID_AMBIGUOUS",
            f"{start!r} cocok dengan {len(fitting)} id: {names}",
            f"{start!r} fits {len(fitting)} ids: {names}",
            "Tulis lebih banyak hurufnya.",
            "Type more of its letters.",
        )
    return fitting[0]


def delivery(start: str) -> str:
    """A delivery's whole id from its beginning; raises ConfigError DELIVERY_UNKNOWN with the one it resembles."""
    from warehouse.ledger import listings, open_ledger

    return whole(start, listings.delivery_ids(open_ledger(get_settings())), _no_delivery)


def release(word: str) -> str:
    """A release's whole id from its beginning or hash; raises ReleaseError RELEASE_UNKNOWN with the nearest."""
    return whole(word, _releases(), _no_release)


def _no_delivery(start: str, near: Collection[str]) -> WarehouseError:
    (name,) = near
    return ConfigError(
        "DELIVERY_UNKNOWN",
        f"Kiriman {start!r} tidak dikenal.",
        f"Delivery {start!r} is not known.",
        f"Mungkin maksud Anda {name!r}.",
        f"Did you mean {name!r}?",
    )


def _no_release(word: str, near: Collection[str]) -> WarehouseError:
    (name,) = near
    return ReleaseError(
        "RELEASE_UNKNOWN",
        f"Rilis {word!r} tidak disimpan di sini.",
        f"Release {word!r} is not kept here.",
        f"Mungkin maksud Anda {name!r}; lihat `warehouse releases list`.",
        f"Did you mean {name!r}? See `warehouse releases list`.",
    )


def shortened(rows: list[dict[str, Any]], as_json: bool) -> list[dict[str, Any]]:
    """Rows for people name deliveries by as many letters as tell them apart; a program gets whole ids."""
    if as_json:
        return rows
    ids = {row["delivery_id"] for row in rows}
    length = next(n for n in range(_SHORT, 33) if len({name[:n] for name in ids}) == len(ids))
    return [row | {"delivery_id": row["delivery_id"][:length]} for row in rows]


# --- what a shell completes -------------------------------------------------------------------------------------------


def _datasets() -> list[str]:
    """Names of datasets by their contracts' files: reading the contracts themselves takes a second."""
    folder = get_settings().contracts_dir
    files = sorted(folder.glob("*/*.odcs.yaml"))
    return [f"{file.parent.name}/{file.name.removesuffix('.odcs.yaml')}" for file in files]


def _releases() -> list[str]:
    folder = get_settings().releases_dir
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []


def complete_dataset(incomplete: str) -> list[str]:
    return [name for name in _datasets() if name.startswith(incomplete)]


def complete_release(incomplete: str) -> list[str]:
    return [name for name in _releases() if name.startswith(incomplete)]


Dataset = Annotated[str, typer.Argument(autocompletion=complete_dataset, help="Agency and dataset: kemenkes/eppgbm.")]
Release = Annotated[str, typer.Argument(autocompletion=complete_release, help="Release id, its beginning or hash.")]
