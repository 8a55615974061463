"""``adapter.dispatch`` for the linter: a macro of the project that differs by adapter, as a call of its name."""

from collections.abc import Callable


def dispatch(macro: str, _project: str) -> Callable[..., str]:
    if macro.startswith("type_"):
        return lambda: macro.removeprefix("type_")
    return lambda expression, *texts: f"{macro}({', '.join([expression, *map(repr, texts)])})"
