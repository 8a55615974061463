"""Every rule that judges a dataset: those its contract writes, and those that follow from its columns and its key.

Here: which rules there are, their codes and words, and what a rule may ask for. Not here: running them.
"""

from collections.abc import Collection
from datetime import date
from typing import Any

from warehouse.core.contract import MISSING, Column, Contract, MissingLimits, Rule, RuleExtras, Severity
from warehouse.core.errors import ConfigError

# Helper columns of the staged table that the derived rules look at; sparse booleans, so that they cost little.
SENT = "sent__"
UNCAST = "uncast__"
UNCODED = "uncoded__"
OUTSIDE = "outside__"

_MARKS = (SENT, UNCAST, UNCODED, OUTSIDE)

# Half of a column empty is told; a column without one value was lost on its way, not left out.
_USUALLY = MissingLimits(
    reason="Own judgement until months of deliveries show what is usual: no agreed column is empty throughout.",
    reason_date=date(2026, 11, 30),
)
_EXAMPLE = date(2026, 10, 31)
_TYPE_WORDS = {
    "integer": ("bilangan bulat", "a whole number"),
    "number": ("angka", "a number"),
    "date": ("tanggal", "a date"),
    "boolean": ("ya atau tidak", "yes or no"),
}
_UNIQUENESS = {"expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique"}
_PATTERNS = {"expect_column_values_to_match_regex", "expect_column_values_to_not_match_regex"}


def judged_column(rule: Rule) -> str | None:
    """The contract's column a rule is about, also where it looks at a helper column."""
    name = rule.column
    for mark in _MARKS:
        name = name and name.removeprefix(mark)
    return name


def _type_words(column: Column) -> tuple[str, str]:
    """What the column holds, in both languages; of a date the forms it may have."""
    word_id, word_en = _TYPE_WORDS["integer" if column.is_whole else column.logical_type]
    if column.extras.decimal == "any":
        return (
            f"{word_id} yang pasti (1.234 dapat berarti seribu lebih)",
            f"{word_en} beyond doubt (1.234 may be a thousand)",
        )
    if column.logical_type != "date":
        return word_id, word_en
    forms = [_EXAMPLE.strftime(form) for form in column.extras.formats]
    return f"{word_id} seperti {' atau '.join(forms)}", f"{word_en} like {' or '.join(forms)}"


def type_rule(contract: Contract, column: Column) -> Rule:
    word_id, word_en = _type_words(column)
    return Rule(
        code=f"{contract.table.upper()}-TYPE-{column.name}",
        expectation="expect_column_values_to_be_null",
        kwargs={"column": f"{UNCAST}{column.name}"},
        severity="quarantine",
        category="validity",
        extras=RuleExtras(
            message_id=f"Kolom {column.header} berisi sesuatu yang bukan {word_id}.",
            message_en=f"Column {column.header} holds something that is not {word_en}.",
            action_id="Perbaiki isian pada baris itu lalu kirim ulang.",
            action_en="Correct the entry on those rows and send the file again.",
            owner="sender",
        ),
    )


def range_rule(contract: Contract, column: Column) -> Rule:
    return Rule(
        code=f"{contract.table.upper()}-RANGE-{column.name}",
        expectation="expect_column_values_to_be_null",
        kwargs={"column": f"{OUTSIDE}{column.name}"},
        severity="quarantine",
        category="plausibility",
        extras=RuleExtras(
            message_id=f"Tanggal pada kolom {column.header} terlalu jauh di masa lalu atau di masa depan.",
            message_en=f"A date in column {column.header} is too far in the past or in the future.",
            action_id="Periksa tahunnya, perbaiki, lalu kirim ulang.",
            action_en="Check the year, correct it and send the file again.",
            owner="sender",
        ),
    )


def required_rule(contract: Contract, column: Column) -> Rule:
    label = column.header or column.name
    return Rule(
        code=f"{contract.table.upper()}-REQUIRED-{column.name}",
        expectation="expect_column_values_to_not_be_null",
        kwargs={"column": column.name if column.is_derived else f"{SENT}{column.name}"},
        severity="quarantine",
        category="completeness",
        extras=RuleExtras(
            message_id=f"Kolom {label} wajib diisi tetapi kosong.",
            message_en=f"Column {label} must be filled in and is empty.",
            action_id="Lengkapi isian pada baris itu lalu kirim ulang.",
            action_en="Fill in the entry on those rows and send the file again.",
            owner="sender",
        ),
    )


def code_rule(contract: Contract, column: Column) -> Rule:
    codes = ", ".join(column.extras.codes or ())
    return Rule(
        code=f"{contract.table.upper()}-CODE-{column.name}",
        expectation="expect_column_values_to_be_null",
        kwargs={"column": f"{UNCODED}{column.name}"},
        severity="quarantine",
        category="validity",
        extras=RuleExtras(
            message_id=f"Kolom {column.header} berisi kode yang tidak dikenal.",
            message_en=f"Column {column.header} holds an unknown code.",
            action_id=f"Pakai salah satu kode ini: {codes}.",
            action_en=f"Use one of these codes: {codes}.",
            owner="sender",
        ),
    )


def missing_rules(contract: Contract, column: Column) -> list[Rule]:
    """How much of a column that marts use may be missing: a warning, and what holds the delivery.

    A column that a file may lack, or that is required of each row, says its own limits or has none.
    """
    limits = column.extras.missing
    if limits is None:
        if column.required or not column.is_header_needed:
            return []
        limits = _USUALLY
    label, measure = column.header or column.name, f"{MISSING}{column.name}"
    stop: dict[str, Any] = {"max_value": 1, "strict_max": True} if limits.stop is None else {"max_value": limits.stop}
    kinds: list[tuple[str, Severity, dict[str, Any], tuple[str, str]]] = []
    if limits.warn is not None:
        message_id = f"Kolom {label} kosong pada lebih dari {limits.warn:.0%} baris."
        kinds.append(
            (
                "WARN",
                "warn",
                {"max_value": limits.warn},
                (message_id, f"Column {label} is empty in more than {limits.warn:.0%} of rows."),
            )
        )
    if not limits.may_be_empty:
        words = (
            (f"Kolom {label} tidak berisi satu nilai pun.", f"Column {label} has not one value.")
            if limits.stop is None
            else (
                f"Kolom {label} kosong pada lebih dari {limits.stop:.0%} baris.",
                f"Column {label} is empty in more than {limits.stop:.0%} of rows.",
            )
        )
        kinds.append(("STOP", "stop", stop, words))
    return [
        Rule(
            code=f"{contract.table.upper()}-MISSING-{kind}-{column.name}",
            expectation="expect_column_values_to_be_between",
            kwargs={"column": measure, **limit},
            severity=severity,
            category="completeness",
            extras=RuleExtras(
                asset="profile",
                message_id=words[0],
                message_en=words[1],
                action_id="Pastikan kolom itu ikut diekspor beserta isinya, lalu kirim ulang.",
                action_en="Make sure that the column was exported with its values, then send again.",
                owner="sender",
                reason=limits.reason,
                reason_date=limits.reason_date,
            ),
        )
        for kind, severity, limit, words in kinds
    ]


def headers_rule(contract: Contract) -> Rule:
    return Rule(
        code=f"{contract.table.upper()}-HEADERS",
        expectation="expect_column_values_to_be_between",
        kwargs={"column": "unknown_columns", "max_value": 0},
        severity="warn",
        category="schema",
        extras=RuleExtras(
            asset="profile",
            message_id="Berkas memuat kolom yang tidak dikenal kontrak; kolom itu tidak dibaca.",
            message_en="The file has columns that the contract does not know; they were not read.",
            action_id="Periksa apakah format ekspor berubah, lalu perbarui kontrak bila perlu.",
            action_en="Check whether the export's format has changed, and update the contract if so.",
            owner="data_engineer",
        ),
    )


def resent_rules(contract: Contract) -> list[Rule]:
    """A delivery may not take the place of one that was much better."""
    told = (
        (
            "ROWS",
            {"column": "rows_to_replaced", "min_value": 0.8},
            "Kiriman ini kehilangan lebih dari seperlima baris dibanding kiriman yang akan digantikannya.",
            "This delivery has lost more than a fifth of the rows of the one that it would replace.",
        ),
        (
            "ASIDE",
            {"column": "set_aside_beyond_replaced", "max_value": 0.1},
            "Jauh lebih banyak baris dikesampingkan daripada pada kiriman yang akan digantikannya.",
            "Far more of its rows are set aside than of the delivery that it would replace.",
        ),
    )
    return [
        Rule(
            code=f"{contract.table.upper()}-RESENT-{kind}",
            expectation="expect_column_values_to_be_between",
            kwargs=kwargs,
            severity="stop",
            category="drift",
            extras=RuleExtras(
                asset="profile",
                message_id=message_id,
                message_en=message_en,
                action_id="Pastikan berkasnya utuh. Terima hanya bila baris itu memang dihapus.",
                action_en="Make sure that the file is whole. Admit it only if those rows were meant to go.",
                owner="sender",
                reason="A correction moves a few per cent; a fifth less is a file cut at a line's end, a tenth more set"
                " aside one that somebody opened and saved (own judgement).",
                reason_date=date(2026, 11, 30),
            ),
        )
        for kind, kwargs, message_id, message_en in told
    ]


def repeated_rule(contract: Contract) -> Rule:
    """A file is of one period. A list of persons that has not changed by a byte is the last one sent again; a table of
    a few figures may be as it was."""
    return Rule(
        code=f"{contract.table.upper()}-REPEATED",
        expectation="expect_column_values_to_be_between",
        kwargs={"column": "same_as_another_period", "max_value": 0},
        severity="stop" if contract.identity_columns else "warn",
        category="drift",
        extras=RuleExtras(
            asset="profile",
            message_id="Berkas ini sama persis dengan kiriman untuk periode lain.",
            message_en="This file is, byte for byte, what was sent for another period.",
            action_id="Minta berkas periode ini. Terima hanya bila pengirim memastikan tidak ada yang berubah.",
            action_en="Ask for this period's file. Admit it only if the sender confirms that nothing has changed.",
            owner="sender",
            reason="People are born, move and die in every period: an unchanged list is the wrong one (own judgement).",
            reason_date=date(2026, 12, 1),
        ),
    )


def key_rule(contract: Contract) -> Rule:
    """Two rows with one natural key are one thing twice; a part of the key that both lack is equal too."""
    names = ", ".join(contract.column(name).header or name for name in contract.extras.natural_key)
    return Rule(
        code=f"{contract.table.upper()}-KEY",
        expectation="expect_compound_columns_to_be_unique",
        kwargs={"column_list": list(contract.extras.natural_key), "ignore_row_if": "all_values_are_missing"},
        severity="quarantine",
        category="uniqueness",
        extras=RuleExtras(
            message_id=f"Baris dengan {names} yang sama ada lebih dari sekali.",
            message_en=f"Rows with the same {names} are there more than once.",
            action_id="Sisakan satu baris yang benar lalu kirim ulang.",
            action_en="Leave the one row that is right and send the file again.",
            owner="sender",
        ),
    )


def _sets_doubles_aside(rule: Rule, key: Collection[str]) -> bool:
    """Whether a rule of the contract does what the rule of its key would, in words of its own."""
    columns = rule.kwargs.get("column_list") or [rule.column]
    return rule.expectation in _UNIQUENESS and rule.severity != "warn" and set(columns) <= set(key)


def all_rules(contract: Contract) -> tuple[Rule, ...]:
    """Rules that follow from columns and key, the contract's own, and those on deliveries before.

    Raises ConfigError RULE_INVALID.
    """
    derived = [headers_rule(contract)]
    for column in contract.columns:
        if column in contract.mart_columns and not (column.is_derived and column.extras.missing is None):
            derived += missing_rules(contract, column)
        if column.required:
            derived.append(required_rule(contract, column))
        if column.extras.codes:
            derived.append(code_rule(contract, column))
        elif column.logical_type in _TYPE_WORDS and not column.is_derived:
            derived.append(type_rule(contract, column))
        if column.extras.earliest and column.extras.latest:
            derived.append(range_rule(contract, column))
    key = contract.extras.natural_key
    if key and not any(_sets_doubles_aside(rule, key) for rule in contract.rules):
        derived.append(key_rule(contract))
    for rule in contract.rules:
        refuse_unusable(rule)
    # What a contract says of the content tells more of a wrong file than its likeness to another.
    beside_others = resent_rules(contract) if contract.extras.delivery_mode == "snapshot" else []
    return (*derived, *contract.rules, *beside_others, repeated_rule(contract))


def rules_of_versions(contract: Contract) -> tuple[Rule, ...]:
    """Every rule that a verdict may name, one of a code: that of the newest version which has it."""
    rules: dict[str, Rule] = {}
    for version in contract.versions:
        for rule in all_rules(version):
            rules.setdefault(rule.code, rule)
    return tuple(rules.values())


def refuse_unusable(rule: Rule) -> None:
    """What Great Expectations would take and then judge wrongly here."""
    if "row_condition" in rule.kwargs:
        # Its query for the failing rows leaves the condition out, and would quarantine rows that passed.
        raise invalid_rule(rule.where, "row_condition is not supported: derive a boolean column instead")
    if rule.expectation in _PATTERNS and not _is_anchored(rule.kwargs.get("regex", "")):
        # DuckDB's ~ matches the whole text, other databases' any part of it.
        raise invalid_rule(rule.where, "the pattern must start with ^ and end with $")
    if rule.severity == "quarantine" and "mostly" in rule.kwargs:
        raise invalid_rule(rule.where, "mostly is a share of a delivery; a quarantine rule judges single rows")
    if rule.extras.asset == "rows" and rule.expectation in _UNIQUENESS and "mostly" in rule.kwargs:
        raise invalid_rule(rule.where, "a uniqueness rule takes no mostly")


def _is_anchored(pattern: str) -> bool:
    return pattern.startswith("^") and pattern.endswith("$")


def invalid_rule(where: str, detail: str) -> ConfigError:
    return ConfigError(
        "RULE_INVALID",
        f"Aturan {where} tidak dapat dijalankan: {detail}.",
        f"Rule {where} cannot be run: {detail}.",
        "Perbaiki aturan itu di folder expectations/.",
        "Correct the rule in expectations/.",
    )


def translated(rule: Rule) -> tuple[str, dict[str, Any]]:
    """Expectation and kwargs as given to Great Expectations, for rows of several deliveries in one table.

    Uniqueness holds within a delivery and compares complete keys only, unless its rule says otherwise. Its own
    expectation gives no row pointers, and unexpected rows would bring their values along, so both become a query for
    row numbers.
    """
    kwargs = dict(rule.kwargs)
    if rule.extras.asset == "rows" and rule.expectation in _UNIQUENESS:
        columns = kwargs.get("column_list") or [kwargs["column"]]
        names = ["delivery_id", *(name for name in columns if name != "delivery_id")]
        keys = ", ".join(f'"{name}"' for name in names)
        joint = " OR " if kwargs.get("ignore_row_if") == "all_values_are_missing" else " AND "
        is_compared = joint.join(f'"{name}" IS NOT NULL' for name in names[1:])
        query = f"SELECT row_id FROM {{batch}} WHERE {is_compared} QUALIFY count(*) OVER (PARTITION BY {keys}) > 1"
        return "unexpected_rows_expectation", {"unexpected_rows_query": query}
    if rule.extras.asset == "rows" and rule.expectation == "unexpected_rows_expectation":
        return rule.expectation, {"unexpected_rows_query": f"SELECT row_id FROM ({kwargs['unexpected_rows_query']})"}
    return rule.expectation, kwargs
