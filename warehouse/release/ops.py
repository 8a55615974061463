"""``ops.duckdb``: last night as tables. Made anew and swapped every night, also when nothing is released.

The ``ops_*`` models read the ledger and little else, so their compiled SQL runs on a fresh export of it in a second.
Not here: the SQL itself (dbt_project/models/marts/ops).
"""

from pathlib import Path

import duckdb

from warehouse.build import export_ledger
from warehouse.build.catalogue import Catalogue, Mart, Query, literal, manifest_path, read_catalogue
from warehouse.core import duck, files, permissions
from warehouse.core.contract import load_contracts
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger
from warehouse.release import state
from warehouse.release.content import BUILD, STORAGE


def refresh_ops(s: Settings, led: Ledger) -> Path | None:
    """Write ``ops.duckdb`` from the ledger as it is now and swap it in; None before the first good build.

    Also points ``current`` where it belongs, should a kill have come between a release and its switch.
    """
    with state.only_releaser(s):
        state.point_current(s, led)
    if not (manifest_path(s.home).exists() and s.build_file.exists()):
        return None
    catalogue = read_catalogue(manifest_path(s.home))
    for folder in (s.ops_file.parent, s.tmp_dir):
        files.sweep_drafts(folder, s.ops_file.name)
    # The draft gets its readers' bits below, and nobody reads it before, whatever the umask.
    with files.whole_file(s.ops_file, mode=None, inside=s.tmp_dir) as draft, duck.connect(s) as con:
        con.execute(f"ATTACH ':memory:' AS {BUILD}")
        con.execute(f"USE {BUILD}")
        export_ledger(s, led, load_contracts(s.contracts_dir), con)
        con.execute("CREATE SCHEMA IF NOT EXISTS marts")
        _copy_references(s, con, catalogue)
        con.execute(f"ATTACH {literal(str(draft))} AS made ({STORAGE})")
        for mart, query in _in_order(catalogue):
            con.execute(f"CREATE TABLE {BUILD}.{mart.relation} AS {query.sql}")
            table = f'made.main."{mart.name}"'
            columns = ", ".join(f'"{column.name}"' for column in mart.columns)
            con.execute(mart.ddl(table))
            con.execute(f"INSERT INTO {table} SELECT {columns} FROM {BUILD}.{mart.relation} ORDER BY ALL")
            for comment in mart.comments(table):
                con.execute(comment)
        con.execute("DETACH made")
        permissions.share(draft, s.readers_group, 0o444)
    return s.ops_file


def _copy_references(s: Settings, con: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    """What the models read beside the ledger (reference tables) comes from the last build."""
    own = {mart.name for mart, _ in catalogue.ops}
    references = {
        relation
        for _, query in catalogue.ops
        for relation, name in query.relations.items()
        if '."ledger".' not in relation and name not in own
    }
    if not references:
        return
    con.execute(f"ATTACH {literal(str(s.build_file))} AS built (READ_ONLY)")
    for relation in sorted(references):
        _, schema, table = relation.split(".")
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        con.execute(f"CREATE TABLE {relation} AS FROM built.{schema}.{table}")
    con.execute("DETACH built")


def _in_order(catalogue: Catalogue) -> list[tuple[Mart, Query]]:
    """The models, each after those it reads."""
    open_queries = {mart.name: (mart, query) for mart, query in catalogue.ops}
    in_order: list[tuple[Mart, Query]] = []
    while open_queries:
        ready = [
            name
            for name, (_, query) in open_queries.items()
            if not (set(query.relations.values()) & open_queries.keys()) - {name}
        ]
        in_order += [open_queries.pop(name) for name in sorted(ready)]
    return in_order
