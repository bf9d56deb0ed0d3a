"""The page on files lists the channels as they are defined."""

from docs.data_page import PAGE, page


def test_the_table_of_channels_is_what_their_definitions_say():
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "stale: run python -m docs.data_page"
