import random

import h11
from hypothesis import given
from hypothesis import strategies as st

from relay.http1 import CHUNKED, BodyReader, BodyWriter, read_request_head
from tests.fuzz import bodies, heads
from tests.http1.heads import request
from tests.http1.reading import visit

TOKEN = st.text("abcXYZ019!#$%&'*+-.^`|~", min_size=1, max_size=12)
VALUE = st.text([chr(c) for c in (9, *range(32, 127), *range(128, 256))], max_size=40)
FIELD = st.tuples(st.just("x-").flatmap(lambda prefix: TOKEN.map(lambda name: prefix + name)), VALUE)
PATH = st.text([chr(c) for c in range(33, 127) if chr(c) != "#"], max_size=40).map(lambda text: "/" + text)
PIECES = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\0",
    b":",
    b"chunked",
    b"Content-Length: 5\r\n",
    b";",
    b"=",
    b'"',
    b"0\r\n\r\n",
]


@given(path=PATH, fields=st.lists(FIELD, max_size=20), method=st.sampled_from(["GET", "POST", "M-SEARCH"]))
def test_h11_reads_every_generated_head_as_we_do(path: str, fields: list[tuple[str, str]], method: str) -> None:
    head = request(*[f"{name}:{value}" for name, value in fields], start=f"{method} {path} HTTP/1.1")
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=65536)
    server.receive_data(head.raw)
    event = server.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target, list(event.headers)) == (head.method, head.target, head.headers)


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(1, 40), max_size=30), sizes=st.lists(st.integers(1, 50)))
def test_chunked_bodies_survive_any_sizes_and_any_pieces(data: bytes, cuts: list[int], sizes: list[int]) -> None:
    writer, encoded, rest = BodyWriter(CHUNKED), b"", data
    for size in [*sizes, len(data)]:
        encoded += writer.encode(rest[:size])
        rest = rest[size:]
    encoded += writer.end()
    reader, body = BodyReader(CHUNKED), b""
    remaining = encoded + b"next"
    for cut in [*cuts, len(remaining)]:
        body += reader.feed(remaining[:cut])
        remaining = remaining[cut:]
    assert (body, reader.done, reader.leftover) == (data, True, b"next")


@given(st.binary(max_size=200))
def test_any_bytes_give_requests_or_a_refusal(data: bytes) -> None:
    visit([data])
    assert read_request_head(bytearray()) is None


def test_mutated_vectors_break_no_fuzz_target() -> None:
    chance = random.Random(9112)
    for target in (heads, bodies):
        seeds = list(target.seeds())
        for seed in seeds:
            target.run(seed)
        for _ in range(4000):
            target.run(mutated(chance, seeds))


def mutated(chance: random.Random, seeds: list[bytes]) -> bytes:
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(1, len(data) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            data[at:at] = chance.choice(PIECES)
        elif kind == 1:
            data[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 2:
            del data[at : at + chance.randint(1, 4)]
        else:
            other = chance.choice(seeds)
            start = chance.randrange(len(other))
            data[at:at] = other[start : start + chance.randint(1, 40)]
    return bytes(data)
