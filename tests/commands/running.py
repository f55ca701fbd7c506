"""The command in this process: its exit code, what it prints, and its files in one folder."""

from dataclasses import dataclass

import pytest

from engine.cli import group


@dataclass
class Done:
    code: int
    out: str
    err: str


class Shell:
    """Runs `engine …` in a folder."""

    def __init__(self, folder, capsys):
        self.folder, self._capsys = folder, capsys

    def __call__(self, *arguments):
        self._capsys.readouterr()
        code = group.main([str(one) for one in arguments], prog_name="engine", standalone_mode=False)
        said = self._capsys.readouterr()
        return Done(code or 0, said.out, said.err)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, "utf-8")
        return path

    def read(self, name):
        return (self.folder / name).read_text("utf-8")


@pytest.fixture
def shell(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ITERABLE_API_KEY", "0123456789abcdef")
    return Shell(tmp_path, capsys)
