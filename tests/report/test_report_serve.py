"""The server answers for the report and nothing else, and only to this machine."""

import http.client
import threading
from contextlib import contextmanager

import pytest

from tether.cli import main
from tether.errors import RequestError
from tether.report.serve import server


@contextmanager
def serving(page):
    with server(page, 0) as here:
        thread = threading.Thread(target=here.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield here.server_port
        finally:
            here.shutdown()
            thread.join()


def ask(port, path, method="GET", host=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, dict(answer.getheaders())


@pytest.fixture
def page(tmp_path):
    folder = tmp_path / "runs"
    (folder / "rdft_s0").mkdir(parents=True)
    (folder / "rdft_s0" / "summary.json").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    for ending, text in ((".html", "<p>page</p>"), (".csv", "a,b"), (".json", "{}")):
        (folder / f"report{ending}").write_text(text)
    return folder / "report.html"


def test_it_serves_the_page_and_its_tables(page):
    with serving(page) as port:
        assert ask(port, "/")[:2] == (200, b"<p>page</p>")
        assert ask(port, "/report.html")[1] == b"<p>page</p>"
        status, body, headers = ask(port, "/report.csv?x=1")
        assert (status, body) == (200, b"a,b")
        assert headers["Content-Type"] == "text/csv; charset=utf-8"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert ask(port, "/report.json", "HEAD")[:2] == (200, b"")
        assert ask(port, "/", host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/rdft_s0/",
        "/rdft_s0/summary.json",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "//etc/passwd",
        "/.",
        "/report",
    ],
)
def test_nothing_else_is_served_and_nothing_is_listed(page, path):
    with serving(page) as port:
        status, body, _ = ask(port, path)
        assert status == 404
        assert b"secret" not in body
        assert b"summary" not in body


def test_another_name_for_this_host_is_refused(page):
    with serving(page) as port:
        assert ask(port, "/", host="evil.example")[0] == 403
        assert ask(port, "/", host=f"evil.example:{port}")[0] == 403
        assert ask(port, "/", "POST")[0] == 501


def test_it_listens_on_loopback_alone(page):
    with server(page, 0) as here:
        assert here.server_address[0] == "127.0.0.1"


def test_a_missing_page_and_a_taken_port_are_said(page, tmp_path):
    with pytest.raises(RequestError, match="expected the page"):
        server(tmp_path / "none.html", 0)
    with server(page, 0) as here, pytest.raises(RequestError, match="it is in use"):
        server(page, here.server_port)


def test_the_command_refuses_a_wrong_port_and_ending(run_folders, tmp_path, capsys):
    folder = str(run_folders[0])
    assert main(["report", folder, "--serve", "--port", "70000", "-o", str(tmp_path / "a.html")]) == 2
    assert "expected 0 to 65535" in capsys.readouterr().err
    assert main(["report", folder, "-o", str(tmp_path / "a.csv")]) == 2
    assert "ends in .html" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_page_and_figures(run_folders, tmp_path, capsys):
    target = tmp_path / "out" / "r.html"
    figures = tmp_path / "figures"
    folders = [str(f) for f in run_folders if f.name in ("finetune-0", "wise_ft-0")]
    assert main(["report", *folders, "-o", str(target), "--figures", str(figures)]) == 0
    assert sorted(p.suffix for p in target.parent.iterdir()) == [".csv", ".html", ".json"]
    assert 'href="r.csv"' in target.read_text()
    assert (figures / "pareto.svg").is_file()
    assert (figures / "confusion-wise_ft.png").is_file()
    assert f"Figures: {len(list(figures.iterdir()))} files" in capsys.readouterr().out
