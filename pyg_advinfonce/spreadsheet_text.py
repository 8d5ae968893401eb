"""Text that a spreadsheet shows and does not run."""

FORMULA = ("=", "+", "-", "@")


def spreadsheet_text(text: str) -> str:
    """Return a text in one line, with an apostrophe before what would be a formula."""
    line = " ".join(text.split())
    return f"'{line}" if line.startswith(FORMULA) else line
