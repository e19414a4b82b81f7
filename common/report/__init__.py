"""Numbers to text, JSON, CSV and PNG."""

from common.report.csv_rows import read_rows, replace_row, write_rows
from common.report.record import result_line, versions, write_json
from common.report.tables import markdown_table, text_table

__all__ = [
    "markdown_table",
    "read_rows",
    "replace_row",
    "result_line",
    "text_table",
    "versions",
    "write_json",
    "write_rows",
]
