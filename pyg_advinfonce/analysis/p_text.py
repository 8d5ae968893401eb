"""A p-value in few digits."""


def p_text(p: float | None) -> str:
    """Return three decimals, a bound for what is less, a dash for no p."""
    if p is None:
        return "-"
    return f"{p:.3f}" if p >= 0.001 else "<0.001"
