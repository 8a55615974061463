"""What ``dbt.<macro>`` writes, for the linter alone: it reads the models without dbt, which would compile for minutes.

Here: the cross-database macros that the models call, as DuckDB has them. Not here: anything a build runs.
"""


def concat(fields: list[str]) -> str:
    return " || ".join(fields)


def date_trunc(part: str, date: str) -> str:
    return f"date_trunc('{part}', {date})"


def dateadd(part: str, interval: str, date: str) -> str:
    return f"date_add({date}, interval ({interval}) {part})"


def datediff(first: str, second: str, part: str) -> str:
    return f"date_diff('{part}', {first}, {second})"


def bool_or(expression: str) -> str:
    return f"bool_or({expression})"


def listagg(measure: str, delimiter: str, order_by: str = "") -> str:
    return f"listagg({measure}, {delimiter} {order_by})"


def type_string() -> str:
    return "varchar"


def last_day(date: str, part: str) -> str:
    return f"last_day_of({date}, '{part}')"


def safe_cast(field: str, type_: str) -> str:
    return f"try_cast({field} as {type_})"


def date_spine(part: str, start: str, end: str) -> str:
    return f"select date_{part} from date_spine('{part}', {start}, {end})"
