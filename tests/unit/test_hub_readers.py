"""Reading connections that a serving hub keeps: lent again, never of another file, never with a state left open."""

from pathlib import Path

import pytest

from edge.errors import LedgerError
from edge.hub.readers import IDLE, Readers
from edge.hub.store import Store

_COUNT = "SELECT count(*) FROM gates"


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "hub.db")
    store.create()
    return store


def test_a_connection_that_came_back_is_lent_again(store: Store) -> None:
    """Opening one costs as much as checking a batch."""
    readers = Readers(store)
    with readers.reader() as first:
        first.execute(_COUNT).fetchone()
    with readers.reader() as second:
        assert second is first
    readers.close()


def test_two_at_once_get_two_connections(store: Store) -> None:
    """One state a reader."""
    readers = Readers(store)
    with readers.reader() as first, readers.reader() as second:
        assert first is not second
    readers.close()


def test_a_lent_again_connection_sees_what_was_written_since(store: Store) -> None:
    """It keeps no old state."""
    readers = Readers(store)
    with readers.reader() as connection:
        assert connection.execute("SELECT count(*) FROM tallies").fetchone() == (0,)
    with store.writing() as writer:
        writer.execute("INSERT INTO tallies VALUES (1, 1, 1)")
    with readers.reader() as connection:
        assert connection.execute("SELECT count(*) FROM tallies").fetchone() == (1,)
    readers.close()


def test_a_connection_left_in_a_transaction_is_not_lent_again(store: Store) -> None:
    """Its state would hold the write-ahead log for ever."""
    readers = Readers(store)
    with readers.reader() as first:
        first.execute("BEGIN")
        first.execute(_COUNT).fetchone()
    with readers.reader() as second:
        assert second is not first
    readers.close()


def test_a_connection_that_met_an_error_is_not_lent_again(store: Store) -> None:
    """Whatever is wrong with it ends with it."""
    readers = Readers(store)
    with pytest.raises(KeyError), readers.reader() as first:
        raise KeyError
    with readers.reader() as second:
        assert second is not first
    readers.close()


def test_a_file_put_in_the_place_of_the_database_is_opened_anew(store: Store, tmp_path: Path) -> None:
    """A connection to a file that was moved away would go on showing it."""
    readers = Readers(store)
    with readers.reader() as first:
        first.execute(_COUNT).fetchone()
    store.file.rename(tmp_path / "aside.db")
    store.create()
    with readers.reader() as second:
        assert second is not first
    readers.close()


def test_a_database_that_is_gone_is_an_error_though_a_connection_stands(store: Store, tmp_path: Path) -> None:
    """What cannot be found by the next start must not be read on."""
    readers = Readers(store)
    with readers.reader() as first:
        first.execute(_COUNT).fetchone()
    store.file.rename(tmp_path / "aside.db")
    with pytest.raises(LedgerError), readers.reader():
        pass
    readers.close()


def test_no_more_than_so_many_are_kept(store: Store) -> None:
    """A crowd leaves no crowd of page caches behind."""
    readers = Readers(store)
    lent = [readers.reader() for _ in range(IDLE + 2)]
    for one in lent:
        one.__enter__()
    for one in lent:
        one.__exit__(None, None, None)
    assert len(readers._idle) == IDLE
    readers.close()
    assert not readers._idle
