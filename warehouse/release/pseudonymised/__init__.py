"""``micro.duckdb``: pseudonymised facts on an allow-list of columns, and quality tables too fine for all analysts.

Here: the allow-list's last word, coarse values, the file's key. Not here: which rows are too rare to be shown as they
are (local recoding), who opens the file (micro).
"""

import hashlib
import hmac
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from warehouse.build.catalogue import Catalogue, Mart, MartColumn, band_name, literal
from warehouse.core import duck, files
from warehouse.core.duck import one_row
from warehouse.core.errors import ReleaseError
from warehouse.core.settings import Settings
from warehouse.disclosure import published
from warehouse.release import state
from warehouse.release.content import BUILD, demand_equal
from warehouse.release.pseudonymised import recoding
from warehouse.release.state import MANIFEST_FILE, MICRO_FILE
from warehouse.storage import keys, vault

_IS_ONE_OF = "coalesce(list_contains($1, person_key), false)"
# Never in a fact of this file, whatever a YAML says.
_REFUSED = re.compile(
    r"birth|tgl_|dob|measured_on|measurement_date|measured_at|age_days|weight|berat|height|length|tinggi|posyandu"
    # Of weight, size and age any three scores tell all three: haz and whz leave one free, waz and baz would fix it.
    r"|size_cm|bmi|waz|baz|exported"
    r"|rt$|rw$|rt_|rw_|registered_on|registration_d|source_row|source_part|record_key|nik|kk_|name|nama|address|alamat"
    r"|phone|telp|latitude|longitude"
)
# Scores stand in classes so wide that on every day of an age some size in millimetres and weight in hundred grams fits.
_NARROWEST_CLASS = 0.5
_SCORES = re.compile(r"haz$|whz$|zscore|z_")
# What describes a person has to say how it is coarsened.
_DESCRIBES = re.compile(
    r"kemendagri|bps_code|kelurahan|kecamatan|area_|sex|gender|jk$|age_|umur|person_count|household|registered_month"
)


def _key(vault_key: bytes, release_id: str) -> str:
    """The key of one release's file, derived from the vault's."""
    return hmac.new(vault_key, f"micro:{release_id}".encode(), hashlib.sha256).hexdigest()


def create_micro(con: duckdb.DuckDBPyConnection, path: Path, release_id: str, vault_key: bytes, name: str) -> None:
    """Attach a new pseudonymised file under ``name``, encrypted for a release."""
    con.execute(f"ATTACH {literal(str(path))} AS {name} (ENCRYPTION_KEY '{_key(vault_key, release_id)}')")


def attach_micro(con: duckdb.DuckDBPyConnection, s: Settings, path: Path, release_id: str) -> None:
    """Attach a release's pseudonymised file as ``micro``, read-only, also while its key is being changed."""
    *others, last = keys.vault_keys(s)
    for vault_key in others:
        try:
            _attach(con, path, release_id, vault_key)
        except duckdb.Error:
            continue
        return
    _attach(con, path, release_id, last)


def _attach(con: duckdb.DuckDBPyConnection, path: Path, release_id: str, vault_key: bytes) -> None:
    con.execute(f"ATTACH {literal(str(path))} AS micro (ENCRYPTION_KEY '{_key(vault_key, release_id)}', READ_ONLY)")


def opens_with(path: Path, release_id: str, vault_key: bytes, s: Settings) -> bool:
    """Whether a release's file is encrypted under this vault key."""
    with duck.connect(s, sees_identifiers=True) as con:
        try:
            _attach(con, path, release_id, vault_key)
        except duckdb.Error:
            return False
        return True


def rows_of(s: Settings, release_id: str, persons: Sequence[str]) -> int:
    """How many rows of a release's file are about these persons."""
    with duck.connect(s, sees_identifiers=True) as con:
        attach_micro(con, s, s.releases_dir / release_id / MICRO_FILE, release_id)
        return sum(
            one_row(con.execute(f"SELECT count(*) FROM {table} WHERE {_IS_ONE_OF}", [list(persons)]))[0]
            for table, _, has_persons in _tables(con)
            if has_persons
        )


def take_out(s: Settings, release_id: str, persons: Sequence[str], *, reason: str) -> None:
    """A kept release without some persons. Who they were under a former key nobody can tell: that file goes whole, and
    so does one that cannot be opened any more."""
    path = s.releases_dir / release_id / MICRO_FILE
    if not path.exists():
        return
    if not _knows_persons_now(s, path, release_id):
        with state.open_folder(path.parent):
            path.unlink()
    else:
        rewrite(s, release_id, keys.vault_key(s), reason=reason, without=persons)


def _knows_persons_now(s: Settings, path: Path, release_id: str) -> bool:
    """Whether a file can be opened and all its persons go by pseudonyms of the key in use."""
    key_prefix = f"{vault.key_id(keys.pseudonym_key(s))}:"
    with duck.connect(s, sees_identifiers=True) as con:
        try:
            attach_micro(con, s, path, release_id)
        except duckdb.Error:
            return False
        return not any(
            one_row(con.execute(f"SELECT count(*) FROM {table} WHERE NOT starts_with(person_key, $1)", [key_prefix]))[0]
            for table, _, has_persons in _tables(con)
            if has_persons
        )


def rewrite(s: Settings, release_id: str, vault_key: bytes, *, reason: str, without: Sequence[str] = ()) -> None:
    """Make a kept release's pseudonymised file again, without some persons, under a key; a further revision of it.

    The manifest names the revision before the file takes its place: run again after a kill, both are made once more.
    """
    folder = s.releases_dir / release_id
    path, manifest = folder / MICRO_FILE, folder / MANIFEST_FILE
    draft = s.releases_dir / f".draft-{release_id}-{MICRO_FILE}"
    draft.unlink(missing_ok=True)
    with duck.connect(s, sees_identifiers=True) as con:
        attach_micro(con, s, path, release_id)
        create_micro(con, draft, release_id, vault_key, "made")
        for table, comment, has_persons in _tables(con):
            target = table.replace("micro.", "made.", 1)
            condition, values = (f" WHERE NOT {_IS_ONE_OF}", [list(without)]) if has_persons else ("", [])
            con.execute(f"CREATE TABLE {target} AS SELECT * FROM {table}{condition}", values)
            con.execute(f"COMMENT ON TABLE {target} IS {literal(comment or '')}")
            described = con.execute(
                "SELECT column_name, comment FROM duckdb_columns() WHERE database_name = 'micro'"
                " AND comment IS NOT NULL AND format('micro.main.\"{}\"', table_name) = ?",
                [table],
            ).fetchall()
            for column, text in described:
                con.execute(f'COMMENT ON COLUMN {target}."{column}" IS {literal(text)}')
    shutil.copystat(path, draft)
    os.chown(draft, -1, path.stat().st_gid)
    with draft.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    about = json.loads(manifest.read_text(encoding="utf-8"))
    about["files"] = [one for one in about["files"] if one["path"] != MICRO_FILE]
    about["files"].append({"path": MICRO_FILE, "bytes": draft.stat().st_size, "sha256": digest})
    others = [one for one in about.get("revisions", ()) if one["reason"] != reason]
    about["revisions"] = [*others, {"at": s.utc_now(), "file": MICRO_FILE, "sha256": digest, "reason": reason}]
    with state.open_folder(folder):
        new_manifest = folder / f".{MANIFEST_FILE}"
        new_manifest.write_text(json.dumps(about, ensure_ascii=False, indent=1, default=str), encoding="utf-8")
        shutil.copystat(manifest, new_manifest)
        os.chown(new_manifest, -1, manifest.stat().st_gid)
        files.put_in_place((new_manifest, manifest), (draft, path))


def _tables(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str | None, bool]]:
    """The attached file's tables: name, description, whether their rows are about single persons."""
    return con.execute(
        "SELECT format('micro.main.\"{}\"', table_name), t.comment, bool_or(column_name = 'person_key')"
        " FROM duckdb_tables() AS t JOIN duckdb_columns() AS c USING (database_name, table_name)"
        " WHERE database_name = 'micro' GROUP BY ALL ORDER BY 1"
    ).fetchall()


def rules(s: Settings) -> list[Any]:
    """What decides, beside data and columns, what the file says: in a release's fingerprint."""
    code = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in (__file__, recoding.__file__)]
    return [s.micro_class_size, *code]


def write_micro(
    s: Settings, con: duckdb.DuckDBPyConnection, catalogue: Catalogue, path: Path, release_id: str
) -> tuple[dict[str, int], dict[str, Any]]:
    """Write the file, encrypted, reopen and compare it; it stays attached read-only.

    Returns the rows of each table, and for the manifest how rare descriptions were before and after they were made
    coarser.
    """
    for mart in catalogue.micro:
        _refuse_columns(mart)
    facts = {f'micro.main."{mart.name}"': mart for mart in catalogue.micro}
    restricted = {f'micro.main."{mart.name}"': mart for mart in catalogue.restricted}
    tables = facts | restricted
    relations = {table: (mart, f"{BUILD}.{mart.relation}") for table, mart in facts.items()}
    vault.define_pseudonym(con, keys.pseudonym_key(s))
    coarse, counts = recoding.recode(con, relations, s.micro_class_size)
    sources = {
        table: _source(mart, coarse.get(table, _as_it_is(f"{BUILD}.{mart.relation}"))) for table, mart in facts.items()
    }
    sources |= {table: _source(mart, _as_it_is(published(mart.name))) for table, mart in restricted.items()}
    create_micro(con, path, release_id, keys.vault_key(s), "micro")
    for table, mart in tables.items():
        con.execute(mart.ddl(table))
        con.execute(f"INSERT INTO {table} FROM {sources[table]} ORDER BY ALL")
        for comment in mart.comments(table):
            con.execute(comment)
    _write_counts(con, counts)
    con.execute("DETACH micro")
    attach_micro(con, s, path, release_id)
    demand_equal(con, ((sources[table], table) for table in tables))
    row_counts = {mart.name: one_row(con.execute(f"SELECT count(*) FROM {table}"))[0] for table, mart in tables.items()}
    return row_counts, {"k": s.micro_class_size, "tables": counts}


def _write_counts(con: duckdb.DuckDBPyConnection, counts: list[dict[str, Any]]) -> None:
    table = f"micro.main.{recoding.COUNTS.name}"
    con.execute(recoding.COUNTS.ddl(table))
    for row in counts:
        con.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", list(row.values()))
    for comment in recoding.COUNTS.comments(table):
        con.execute(comment)


def _as_it_is(relation: str) -> recoding.Coarse:
    return recoding.Coarse({}, f"{relation} AS f")


def _source(mart: Mart, coarse: recoding.Coarse) -> str:
    """Rare descriptions coarse, dates by month, scores in classes, numbers at two decimals, whatever the fact holds."""
    select_list = ", ".join(f'{_masked(c, coarse)} AS "{c.name}"' for c in mart.columns)
    return f"(SELECT {select_list} FROM {coarse.source})"


def _masked(column: MartColumn, coarse: recoding.Coarse) -> str:
    value = coarse.columns.get(column.name)
    if column.name in ("person_key", "family_key"):
        return vault.own_key_sql(value or f'f."{column.name}"')
    if value:
        return value
    if column.class_width:
        return recoding.in_class(f'f."{column.name}"', column.class_width)
    masks = {"date": "CAST(date_trunc('month', {0}) AS DATE)", "double": "round({0}, 2)"}
    return masks.get(column.kind, "{0}").format(f'f."{column.name}"')


def _refuse_columns(mart: Mart) -> None:
    refused_names = [
        c.name
        for c in mart.columns
        if _REFUSED.match(c.name)
        or c.kind.startswith("timestamp")
        or (_SCORES.match(c.name) and not (c.class_width and c.class_width >= _NARROWEST_CLASS))
    ]
    if refused_names:
        names = ", ".join(refused_names)
        raise ReleaseError(
            "RELEASE_MICRO_COLUMN",
            f"{mart.name}: kolom ini tidak boleh masuk berkas mikro: {names}",
            f"{mart.name}: these columns may not enter the pseudonymised file: {names}",
            "Hapus `micro: true` dari kolom itu; haz dan whz boleh dengan `class_width: 0.5`.",
            "Remove `micro: true` from those columns; haz and whz may come with `class_width: 0.5`.",
        )
    bands = {band_name(c.name) for c in mart.columns if c.quasi_identifier}
    bare = [c.name for c in mart.columns if _DESCRIBES.match(c.name) and not c.quasi_identifier and c.name not in bands]
    if bare:
        names = ", ".join(bare)
        raise ReleaseError(
            "RELEASE_MICRO_QUASI",
            f"{mart.name}: kolom ini menggambarkan orang, tetapi tidak menyatakan `quasi_identifier`: {names}",
            f"{mart.name}: these columns describe a person but state no `quasi_identifier`: {names}",
            "Nyatakan jenisnya di samping `micro: true`, lihat warehouse/build/catalogue.py.",
            "State its kind beside `micro: true`, see warehouse/build/catalogue.py.",
        )
