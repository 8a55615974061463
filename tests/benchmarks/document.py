"""Documents that benchmarks write: a head, and a section of each."""

from pathlib import Path


def write_section(document: Path, head: str, title: str, text: str) -> None:
    """Replace one section of the document, or add it."""
    said = document.read_text(encoding="utf-8") if document.exists() else head
    _, *sections = said.split("\n## ")
    kept = {section.partition("\n")[0]: section.partition("\n")[2].strip() for section in sections}
    kept[title] = text.strip()
    document.write_text(
        head.rstrip() + "\n" + "".join(f"\n## {name}\n\n{body}\n" for name, body in kept.items()), encoding="utf-8"
    )
