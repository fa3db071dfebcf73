"""Downloads against a server of our own that stalls, breaks off, changes its mind and sends the wrong bytes."""

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from collage_motion.errors import ModelError, OutputError
from collage_motion.models.download import check_address, download, shown

DATA = bytes(range(256)) * 4000
SHA = hashlib.sha256(DATA).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Paths say what goes wrong; `server.seen` keeps the Range header of each request."""

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        server: Server = self.server  # type: ignore[assignment]
        server.seen.append(self.headers.get("Range"))
        kind = self.path.strip("/").partition(".")[0]
        if kind == "missing":
            return self.send_error(404, "Not Found")
        if kind in ("redirect", "astray"):
            self.send_response(302)
            self.send_header("Location", "/good.pt" if kind == "redirect" else "http://example.org/x.pt")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.answer(kind, server)

    def answer(self, kind: str, server: "Server") -> None:
        data = b"x" + DATA[1:] if kind == "wrong" else DATA
        asked, etag = self.headers.get("Range"), server.etag
        begin = 0
        if asked and kind != "deaf" and self.headers.get("If-Range") == etag:
            begin = int(asked.removeprefix("bytes=").rstrip("-"))
            if begin >= len(data):
                self.send_response(416)
                self.send_header("Content-Length", "0")
                return self.end_headers()
        self.send_response(206 if begin else 200)
        if begin:
            first = begin + 1 if kind == "shifted" else begin
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        if kind == "page":
            self.send_header("Content-Type", "text/html; charset=utf-8")
        if kind == "chunked" or kind == "cutchunks":
            self.send_header("Transfer-Encoding", "chunked")
        elif kind != "endless":
            self.send_header("Content-Length", str(len(data) - begin))
        if kind != "unmarked":
            self.send_header("ETag", etag)
        self.end_headers()
        self.body(kind, data[begin:], server)

    def body(self, kind: str, data: bytes, server: "Server") -> None:
        half = len(data) // 2
        if kind in ("chunked", "cutchunks"):
            self.wfile.write(f"{half:x}\r\n".encode() + data[:half] + b"\r\n")
            if kind == "chunked":
                self.wfile.write(f"{len(data) - half:x}\r\n".encode() + data[half:] + b"\r\n0\r\n\r\n")
        elif kind == "stalls" or (kind == "once" and len(server.seen) == 1):
            self.wfile.write(data[:half])
            self.wfile.flush()
            server.release.wait(5)
        elif kind in ("breaks", "shifted", "deaf", "unmarked") and len(server.seen) == 1:
            self.wfile.write(data[:half])
        else:
            self.wfile.write(data)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[str | None] = []
        self.etag = '"one"'
        self.release = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that hangs up is what some tests are about

    def url(self, kind: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{kind}.pt"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.release.set()
        made.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", ["good", "chunked", "redirect"])
def test_a_file_comes_whole(kind: str, server: Server, tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    target = tmp_path / "new/model.pt"
    got = download(server.url(kind), target, sha256=SHA.upper(), progress=lambda *at: steps.append(at))
    assert got.path == target and got.sha256 == SHA and target.read_bytes() == DATA
    assert [path.name for path in target.parent.iterdir()] == ["model.pt"]
    assert steps[-1] == (len(DATA), None if kind == "chunked" else len(DATA))
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_a_stall_is_given_up_and_resumed(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "model.pt"
    began = time.monotonic()
    with pytest.raises(
        ModelError, match=r"nothing came for 0.3 s, 512000 bytes are there; run it again to go on"
    ):
        download(server.url("once"), target, stall_s=0.3)
    assert time.monotonic() - began < 4 and not target.exists()
    assert download(server.url("once"), target, sha256=SHA).path.read_bytes() == DATA
    assert server.seen == [None, "bytes=512000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_a_break_is_noticed_and_resumed(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "model.pt"
    with pytest.raises(ModelError, match=r"broke off after 512000 of 1024000 bytes; run it again to go on"):
        download(server.url("breaks"), target)
    assert not target.exists() and (tmp_path / "model.pt.part").stat().st_size == 512000
    assert download(server.url("breaks"), target).sha256 == SHA
    assert server.seen == [None, "bytes=512000-"] and target.read_bytes() == DATA


def test_chunks_that_end_early_are_noticed(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="broke off"):
        download(server.url("cutchunks"), tmp_path / "model.pt")
    assert not (tmp_path / "model.pt").exists()


@pytest.mark.parametrize("kind", ["breaks", "deaf", "unmarked"])
def test_a_file_that_changed_meanwhile_is_taken_anew(kind: str, server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="broke off"):
        download(server.url(kind), tmp_path / "model.pt")
    server.etag = '"two"'
    assert download(server.url(kind), tmp_path / "model.pt").sha256 == SHA
    assert server.seen == [None, None if kind == "unmarked" else "bytes=512000-"]


def test_a_part_that_is_already_whole(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.pt.part").write_bytes(DATA)
    (tmp_path / "model.pt.part.json").write_text('{"mark": "\\"one\\""}')
    assert download(server.url("good"), tmp_path / "model.pt").sha256 == SHA
    assert server.seen == ["bytes=1024000-", None]


def test_wrong_bytes_are_thrown_away(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"its sha256 is [0-9a-f]{{64}}, not {SHA}; thrown away"):
        download(server.url("wrong"), tmp_path / "model.pt", sha256=SHA)
    assert list(tmp_path.iterdir()) == []
    target = tmp_path / "model.pt"
    target.write_bytes(b"old")
    with pytest.raises(ModelError, match="thrown away"):
        download(server.url("wrong"), target, sha256=SHA)
    assert target.read_bytes() == b"old"
    seen = download(server.url("wrong"), target).sha256
    assert seen == hashlib.sha256(target.read_bytes()).hexdigest() != SHA


def test_a_server_that_goes_on_elsewhere_is_not_believed(server: Server, tmp_path: Path) -> None:
    for message in ("broke off", "goes on from another place"):
        with pytest.raises(ModelError, match=message):
            download(server.url("shifted"), tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("kind", "message"),
    [("missing", "the server answers 404 Not Found"), ("page", "a web page and no file"),
     ("astray", "address http://example.org/x.pt: http; allowed: https"),
     ("endless", "does not say how long the file is")],
)  # fmt: skip
def test_answers_that_are_no_file(kind: str, message: str, server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        download(server.url(kind), tmp_path / "model.pt")
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == []


def test_nobody_listens(server: Server, tmp_path: Path) -> None:
    with Server() as other:
        url = other.url("good")
    with pytest.raises(ModelError, match=r"refused, 0 bytes are there"):
        download(url, tmp_path / "model.pt")


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "file:///etc/passwd", "ftp://example.org/x", "model.pt", "https://", "",
            "https://exa mple.org/x", "https://[::1/x", "http://127.0.0.1.example.org/x", "https://host:port/x"],
)  # fmt: skip
def test_only_https_addresses_are_fetched(url: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"allowed: https"):
        download(url, tmp_path / "model.pt")
    assert list(tmp_path.iterdir()) == []


def test_allowed_addresses_and_secrets() -> None:
    for url in ("https://example.org/x.pt", "http://localhost:8/x", "http://[::1]:8/x"):
        check_address(url)
    assert shown("https://me:word@example.org/a/b.pt?token=1") == "https://example.org/a/b.pt"


def test_wrong_hashes_and_targets(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="allowed: 64 digits"):
        download(server.url("good"), tmp_path / "model.pt", sha256="abc")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        download(server.url("good"), tmp_path / "file/model.pt")
    assert server.seen == []
