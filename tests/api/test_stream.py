"""Who listens is told what happens, what it missed too; nobody who listens keeps the server from ending."""

import asyncio
import contextlib
import json
import signal
import socket
import time

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from api.problems import Problem
from api.stream import MOST_LISTENERS, REMEMBERED, Stream
from tests.api.hall import samples
from tests.api.uvicorn_server import serving

ENDS_WITHIN_S = 5.0


async def take(listening, count):
    """Return what is told, so many messages."""
    return [await anext(listening) for _ in range(count)]


def told(stream, since=None, count=1, after=lambda: None):
    """Return the kinds of the messages that a listener gets, the first `count` of them."""

    async def listen():
        listening = stream.listen(since)
        first = asyncio.ensure_future(take(listening, count))
        await asyncio.sleep(0)
        after()
        found = await first
        await listening.aclose()
        return [(m.kind, m.number) if m else None for m in found]

    return asyncio.run(listen())


def test_a_listener_is_told_what_happens_from_then_on():
    stream = Stream()
    stream.tell("tick", {"n": 1})
    assert told(stream, count=2, after=lambda: [stream.tell("scores", {}), stream.tell("alarm", {})]) == [
        ("scores", 2), ("alarm", 3),
    ]  # fmt: skip


def test_one_that_comes_back_is_given_what_it_missed_and_no_more():
    stream = Stream()
    for n in range(5):
        stream.tell("tick", {"n": n})
    message = stream._recent[1]
    assert told(stream, stream.id_of(message), count=4, after=lambda: stream.tell("alarm", {})) == [
        ("tick", 3), ("tick", 4), ("tick", 5), ("alarm", 6),
    ]  # fmt: skip


@pytest.mark.parametrize("last", ["elsewhere-3", "nonsense", "", "-", "-7"])
def test_one_that_cannot_be_given_what_it_missed_is_told_so(last):
    stream = Stream()
    stream.tell("tick", {})
    assert told(stream, last) == [("reset", 1)]


def test_one_that_was_away_for_longer_than_is_remembered_is_told_so():
    stream = Stream()
    stream.tell("tick", {})
    first = stream.id_of(stream._recent[0])
    for _ in range(REMEMBERED):
        stream.tell("tick", {})
    assert told(stream, first, count=2)[0] == ("tick", 2)
    stream.tell("tick", {})
    assert told(stream, first) == [("reset", REMEMBERED + 2)]


def test_silence_is_broken_by_heartbeats():
    assert told(Stream(heartbeat_s=0.01), count=2) == [None, None]


def test_one_that_reads_too_slowly_is_told_to_come_back_and_then_misses_nothing():
    stream = Stream()

    async def listen():
        listening = stream.listen()
        first = asyncio.ensure_future(anext(listening))
        await asyncio.sleep(0)
        stream.tell("tick", {})
        got = [await first]
        for _ in range(600):
            stream.tell("tick", {})
        await asyncio.sleep(0)
        got += [m async for m in listening if m]
        assert stream.listeners == 0
        again = stream.listen(stream.id_of(got[-1]))
        return got, await take(again, 600)

    got, missed = asyncio.run(listen())
    assert [(m.kind, m.number) for m in got] == [("tick", 1), ("reconnect", 1)]
    assert [m.number for m in missed] == list(range(2, 602))


def test_only_so_many_listen():
    stream = Stream()

    async def listen():
        listening = [stream.listen() for _ in range(MOST_LISTENERS)]
        waiting = [asyncio.ensure_future(anext(one)) for one in listening]
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="listen already"):
            stream.check_room()
        one_more = [m.kind async for m in stream.listen()]
        stream.close()
        await asyncio.gather(*waiting)
        return one_more

    assert asyncio.run(listen()) == ["reconnect"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("stream")) as running:
        yield running


def events(lines):
    """Give (id, kind, data) of server-sent events."""
    found = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line == "" and "data" in found:
            yield found["id"], found["event"], json.loads(found["data"])
        found = {**found, name: value} if line else {}


def test_the_stream_tells_of_a_batch_and_comes_back_by_its_id(server):
    with httpx.stream("GET", f"{server.url}/stream", timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == "retry: 1000"
        server.post("/telemetry/batch", {"samples": samples()[:8]})
        last, kind, data = next(events(lines))
    assert (kind, data["samples"]) == ("tick", 8)
    server.post("/telemetry/batch", {"samples": samples()[8:24]})
    with httpx.stream("GET", f"{server.url}/stream", headers={"Last-Event-ID": last}, timeout=20) as answer:
        assert next(events(answer.iter_lines()))[2]["samples"] == 16


def socket_of(server):
    return connect(f"ws://127.0.0.1:{server.port}/ws/events")


def test_a_socket_echoes_and_is_closed_by_a_message_too_long(server):
    with socket_of(server) as client:
        client.send("hello \u00e9\U0001f525")
        assert echo(client) == {"echo": "hello \u00e9\U0001f525"}
        client.send("x" * 70_000)
        with pytest.raises(ConnectionClosedError, match="1009"):
            echo(client)


def test_only_so_many_sockets_are_open_and_one_that_goes_makes_room(client, monkeypatch):
    monkeypatch.setattr("api.routes.events.MOST_SOCKETS", 2)
    with client.websocket_connect("/ws/events"):
        with client.websocket_connect("/ws/events"), client.websocket_connect("/ws/events") as one_more:
            assert one_more.receive() == {
                "type": "websocket.close", "code": 1013, "reason": "2 sockets are open already; try again",
            }  # fmt: skip
        with client.websocket_connect("/ws/events") as now:
            now.send_text("there")
            assert now.receive_json() == {"echo": "there"}


def test_a_socket_takes_no_bytes(server):
    with socket_of(server) as client:
        client.send(b"\x00\xff")
        with pytest.raises(ConnectionClosedError, match="1003"):
            echo(client)


def test_a_socket_is_told_the_hall_s_figures_at_once_and_again_whenever_data_came_in(tmp_path):
    with serving(tmp_path, IMS_SCORE_INTERVAL_S="0.2") as server, socket_of(server) as client:
        for start in (0, 800):
            server.post("/telemetry/batch", {"samples": samples()[start : start + 800]})
            # the batch may come in between the two readings of a frame: the frame after it is the one to compare
            while (frame := json.loads(client.recv(20)))["ts"] != samples()[start + 799]["ts"]:
                pass
            overview = server.get("/state/overview")
            assert frame["kpis"] == {name: overview[name] for name in frame["kpis"]}
            assert frame["ims"] == {"deviation": overview["ims_deviation"], "mms_state": overview["mms_state"]}
            assert frame["last_action"] is None


def echo(client):
    """Return the next message that is an echo."""
    while "echo" not in (found := json.loads(client.recv(20))):
        pass
    return found


@contextlib.contextmanager
def listening(server, streams=3):
    """Hold streams and a socket open."""
    with contextlib.ExitStack() as stack:
        for _ in range(streams):
            answer = stack.enter_context(httpx.stream("GET", f"{server.url}/stream", timeout=20))
            next(answer.iter_lines())
        client = stack.enter_context(socket_of(server))
        client.send("there")
        echo(client)
        yield


def ends(server, number):
    """Return the seconds that a server takes to end after a signal."""
    begin = time.monotonic()
    server.interrupt(number)
    server.process.wait(30)
    return time.monotonic() - begin


@pytest.mark.parametrize("flags", [(), ("--reload", "--reload-dir", ".")], ids=["plain", "reload"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_ends_within_5_s_of_a_signal_while_streams_and_a_socket_are_open(tmp_path, number, flags):
    with serving(tmp_path, *flags) as server, listening(server):
        assert ends(server, number) < ENDS_WITHIN_S
        assert "Traceback" not in server.text()


def test_a_client_that_never_reads_does_not_keep_the_server_from_ending(tmp_path):
    with serving(tmp_path) as server, socket.create_connection(("127.0.0.1", server.port)) as deaf:
        deaf.sendall(200 * b"GET /page/vendor/uplot/uPlot.iife.min.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        time.sleep(1)  # until 10 MB have filled every buffer on the way
        assert ends(server, signal.SIGINT) < ENDS_WITHIN_S


def test_a_client_that_hangs_up_amid_a_body_is_no_failure_of_the_server(tmp_path):
    with serving(tmp_path) as server:
        for path in (b"/telemetry/batch", b"/hall/start"):
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{")
        assert server.wait() == {"status": "alive"}
    assert "Traceback" not in server.text()


def test_a_changed_file_reloads_the_server_while_streams_and_a_socket_are_open(tmp_path):
    (tmp_path / "watched.py").write_text("")
    with serving(tmp_path, "--reload", "--reload-dir", ".") as server:
        with listening(server):
            begin = time.monotonic()
            (tmp_path / "watched.py").write_text("1")
            while server.text().count("Application startup complete") < 2:
                assert time.monotonic() - begin < 60, server.text()
                time.sleep(0.05)
        assert server.wait() == {"status": "alive"}
