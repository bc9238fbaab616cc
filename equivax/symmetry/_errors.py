"""The error of the shelf, and the check that every family of groups begins with."""


class GroupError(ValueError):
    """Generators that do not make a group, or an operation that the group does not have."""


def check_size(name: str, n: int, least: int = 1) -> None:
    """Raise a GroupError unless `n` is a whole number from `least` on."""
    if not isinstance(n, int) or n < least:
        raise GroupError(f"{name}(n) takes a whole number n >= {least}, received {n!r}.")
