"""The table of faults in the docs says what the tests do."""

from __future__ import annotations

import field_faults_table as field
from fault_table import BEGIN, END, PAGE, ROWS, entries, table


def test_every_row_has_a_test() -> None:
    assert {entry.row for entry in entries()} == ROWS.keys() == set(range(1, 55))


def test_the_table_in_the_docs_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert text.strip() == table(), "run `make fault-table`"


def test_field_faults_in_the_docs_are_current() -> None:
    text = PAGE.read_text(encoding="utf-8").partition(field.BEGIN)[2].partition(field.END)[0]
    assert text.strip() == field.table(), "run `make fault-table`"
    assert field.tests_by_item().keys() == field.ITEMS.keys()
