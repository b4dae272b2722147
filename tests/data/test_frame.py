import pandas as pd
import pyarrow as pa
import pytest

from idiolect.data import ITEM_SCHEMA, REVIEW_SCHEMA, item_frame, review_frame
from idiolect.data.tables import table_parts
from idiolect.errors import InputError
from idiolect.types import Item, ItemId, Review, ReviewId, UserId


def review(n: int) -> Review:
    return Review(id=ReviewId(f"r{n}"), user=UserId("u"), item=ItemId("i"), text="x", order=n)


def test_frames_have_the_schema_even_when_empty_or_null():
    assert review_frame([]).schema == REVIEW_SCHEMA
    assert item_frame([]).schema == ITEM_SCHEMA
    frame = review_frame([review(0)])
    assert frame.schema == REVIEW_SCHEMA
    assert frame.row(0) == ("r0", "u", "i", None, "", "x", None, 0)


def test_frames_keep_the_order_across_chunks(monkeypatch):
    monkeypatch.setattr("idiolect.data.kcore._CHUNK_ROWS", 3)
    assert review_frame(review(n) for n in range(10))["order"].to_list() == list(range(10))


def test_item_frame_holds_every_field():
    item = Item(id=ItemId("i"), title="t", description="d", category="c")
    assert item_frame([item]).row(0) == ("i", "t", "d", "c")


def test_two_columns_of_one_name_are_refused() -> None:
    names, row = ["user", "user", "item", "text"], ["a", "b", "i", "t"]
    for table in (pd.DataFrame([row], columns=names), pa.table([[cell] for cell in row], names=names)):
        with pytest.raises(InputError, match="two columns called 'user'"):
            list(table_parts(table).parts[0].rows(None))
