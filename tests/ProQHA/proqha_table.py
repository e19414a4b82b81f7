"""Numbers of a printed table of costs."""


def cells(line: str) -> list[str]:
    return line.replace(",", "").split()


def read_table(lines: list[str]) -> tuple[list[list], list]:
    """The lines of the layers and that of the totals of a printed table."""
    body = [[name, *map(float, rest)] for name, *rest in map(cells, lines[2:])]
    return body[:-1], body[-1]
