from __future__ import annotations

import numpy as np

from idiolect.store.sql import SqlStore
from idiolect.types import Review


def test_no_byte_of_a_forgotten_user_stays_in_the_files(tmp_path, reviews, vectors):
    path = tmp_path / "store.db"
    secret = [
        Review(
            id=f"hush{k}",
            user="zaphod",
            item=f"i{k % 15}",
            text=f"only-zaphod-writes-so {k} " * (1 + 40 * k),
            title="hushtitle",
        )
        for k in range(40)
    ]
    marker = np.frombuffer(b"\x11\x2e" * 8, dtype=np.float16)
    with SqlStore(path) as store:
        store.add([], [*reviews(200), *secret])
        store.add_vectors([r.id for r in secret], np.tile(marker, (40, 1)), encoder="e")
        store.add_vectors([f"r{k}" for k in range(200)], vectors(200), encoder="e")
        assert b"zaphod" in path.read_bytes() + (tmp_path / "store.db-wal").read_bytes()
        receipt = store.forget("zaphod")
        assert (receipt.reviews, receipt.vectors, receipt.items_touched) == (40, 40, 15)
        everything = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        for trace in (b"zaphod", b"hush", marker.tobytes()):
            assert trace not in everything
        assert b"Text 199" in everything


def test_a_reader_that_holds_the_log_is_reported(store, caplog, monkeypatch):
    monkeypatch.setattr("idiolect.store.sql.secure_vacuum", lambda _engine: False)
    assert not store.forget("u1").vacuumed
    assert "may be left" in caplog.text
