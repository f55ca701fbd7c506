"""The ledger against a plain model: rows settled in any order, saved, killed, resumed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model import Position, Rows
from engine.runtime.ledger import Ledger, Ticket, Track


def rows(first: int, count: int) -> Rows:
    return Rows(
        file="a.csv",
        start=Position(first, first + 1, first * 10, first),
        end=Position(first + count, first + count + 1, (first + count) * 10, first + count),
        columns=("id",),
        records=[[str(n)] for n in range(first, first + count)],
        locate=lambda row: (first + row + 1, (first + row) * 10),
    )


def test_the_head_passes_only_what_every_mapping_settled():
    track = Track("s", "a.csv", ["m", "n"])
    first, second = track.open(rows(0, 2)), track.open(rows(2, 2))
    for ticket in [*first, second[0]]:
        ticket.settle(0)
        ticket.settle(1)
    assert track.advance() == 2
    assert track.head.row == 2
    second[1].settle(1)
    assert track.advance() == 0
    second[1].settle(0)
    assert track.advance() == 2


def test_settling_twice_counts_once():
    ticket = Ticket(rows(0, 2), None, {})
    ticket.settle(0)
    ticket.settle(0)
    assert ticket.left == 1


def test_a_row_with_several_payloads_is_settled_with_the_last():
    ticket = Ticket(rows(0, 1), None, {})
    ticket.expect(0, 1)
    ticket.expect(0, 1)
    ticket.settle(0, 1)
    assert ticket.left == 1 and ticket.settled(0, 1) and not ticket.settled(0, 0)
    ticket.settle(0, 0)
    assert ticket.left == 0


def test_elements_settled_before_a_kill_are_known_after_it():
    track = Track("s", "a.csv", ["m"])
    (ticket,) = track.open(rows(0, 2))
    for _ in range(3):
        ticket.expect(0, 1)
    ticket.settle(0, 2)
    saved = track.save()
    again = Track("s", "a.csv", ["m"], saved)
    (ticket,) = again.open(rows(0, 2))
    assert [ticket.settled(0, n) for n in range(3)] == [False, False, True]
    ticket.expect(0, 2)
    ticket.settle(0, 0)
    ticket.settle(0, 1)
    ticket.settle(1)
    assert again.advance() == 2


def test_a_finished_track_is_let_go():
    ledger = Ledger()
    track = Track("s", "a.csv", ["m"])
    ledger.begin(track)
    (ticket,) = ledger.open(track, rows(0, 1))
    assert ledger.rows == 1
    ticket.settle(0)
    track.ended = True
    (saved,) = ledger.take_changes()
    assert saved.done and ledger.rows == 0 and not ledger.tracks


@settings(max_examples=300)
@given(st.data())
def test_over_kills_nothing_is_lost_and_nothing_settled_is_open_again(data):
    """Lives end at random: what was committed as settled stays so, the rest is open again, the head never overtakes."""
    total, size = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 7))
    durable: dict[str, set[int]] = {"m": set(), "n": set()}
    saved = None
    for _ in range(data.draw(st.integers(1, 6))):
        saved, durable = _one_life(data, total, size, saved, durable)


def _one_life(data, total, size, saved, durable):
    track, at = Track("s", "a.csv", ["m", "n"], saved), saved.head.row if saved else 0
    settled = {name: set(done) for name, done in durable.items()}
    open_rows: list[tuple[str, Ticket, int]] = []
    for _ in range(data.draw(st.integers(0, 30))):
        act = data.draw(st.sampled_from(["read", "settle", "commit"]))
        if act == "read" and at < total:
            batch = rows(at, min(size, total - at))
            for name, ticket in zip(("m", "n"), track.open(batch), strict=True):
                known = {at + row for row in range(len(batch)) if ticket.flags[row]}
                assert known == durable[name] & set(range(at, batch.end.row))
                open_rows += [(name, ticket, row) for row in range(len(batch)) if at + row not in known]
            at = batch.end.row
        elif act == "settle" and open_rows:
            name, ticket, row = open_rows.pop(data.draw(st.integers(0, len(open_rows) - 1)))
            ticket.settle(row)
            settled[name].add(ticket.rows.start.row + row)
        elif act == "commit":
            track.advance()
            saved, now = track.save(), {name: set(done) for name, done in settled.items()}
            assert set(range(saved.head.row)) <= now["m"] & now["n"], "the head passes settled rows only"
            durable = now
            settled = {name: set(done) for name, done in now.items()}
    return saved, durable
