"""What a person sees holds no terminal codes, on a terminal either."""

import io
import json

from engine.config.messages import printable_json
from engine.console import LiveProgress, json_text
from engine.runtime.counts import Counts, MappingCounts
from engine.runtime.events import Progress

TRICKS = "\x1b[31m\x9b2J\u202e\u2066"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_live_progress_shows_escapes_of_names_and_words():
    screen = Terminal()
    live = LiveProgress(screen)
    try:
        live.say(f"waiting for {TRICKS}\nsecond line")
        live.progress(Progress(1.0, Counts(mappings={f"[red]{TRICKS}": MappingCounts(to="crm")}), 0, 0, reading=True))
    finally:
        live.close()
    said = screen.getvalue()
    assert "waiting for \\x1b[31m\\x9b2J\\u202e\\u2066" in said and "[red]" in said
    assert TRICKS[:5] not in said and not set("\x9b\u202e\u2066") & set(said)


def test_json_means_the_same_and_holds_no_codes():
    value = {"a": [f"x{TRICKS}\u061c\x7f\n\t ä", "\\u202e"]}
    for text in (json_text(value), json_text(value, indent=2), printable_json(json.dumps(value, ensure_ascii=False))):
        assert json.loads(text) == value
        assert not set(TRICKS[0] + "\x9b\u202e\u2066\u061c\x7f") & set(text)
