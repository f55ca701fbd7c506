"""A language server over its protocol: JSON-RPC on stdin and stdout."""

import json
import subprocess
import threading
from queue import Queue


class LanguageServer:
    """Starts `command`; `schema` is the path of the JSON Schema for all YAML files of the test."""

    def __init__(self, command, root, schema):
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._answers: dict[int, Queue] = {}
        self._diagnostics: dict[str, Queue] = {}
        self._settings = {
            "yaml": {
                "schemas": {schema.as_uri(): ["*.yaml"]}, "validate": True, "hover": True, "completion": True,
                "schemaStore": {"enable": False}, "format": {"enable": False},
            },
            "http": {"proxy": "http://127.0.0.1:9"},
        }  # fmt: skip
        self._next, self._lock = 0, threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        capabilities = {"textDocument": {"completion": {"completionItem": {"snippetSupport": True}}},
                        "workspace": {"configuration": True}}  # fmt: skip
        self.ask("initialize", {"processId": None, "rootUri": root.as_uri(), "capabilities": capabilities})
        self.tell("initialized", {})
        self.tell("workspace/didChangeConfiguration", {"settings": self._settings})

    def ask(self, method, parameters):
        with self._lock:
            self._next += 1
            number = self._next
        waiting = self._answers[number] = Queue()
        self._write({"id": number, "method": method, "params": parameters})
        answer = waiting.get(timeout=30)
        del self._answers[number]
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def tell(self, method, parameters):
        self._write({"method": method, "params": parameters})

    def open(self, path, text):
        """Opens a document; gives what the server finds wrong with it."""
        uri = path.as_uri()
        found = self._diagnostics[uri] = Queue()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})
        return found.get(timeout=30)

    def complete(self, path, text, marker="¦"):
        """The labels that are offered at the marker of a text."""
        place = self._at(path, text, marker)
        found = self.ask("textDocument/completion", place)
        items = found["items"] if isinstance(found, dict) else found
        return [item["label"] for item in items]

    def hover(self, path, text, marker="¦"):
        """What is told of the word at the marker."""
        found = self.ask("textDocument/hover", self._at(path, text, marker))
        return found["contents"]["value"] if found else ""

    def _at(self, path, text, marker):
        before, _, after = text.partition(marker)
        self.open(path, before + after)
        line = before.count("\n")
        return {
            "textDocument": {"uri": path.as_uri()},
            "position": {"line": line, "character": len(before) - before.rfind("\n") - 1},
        }

    def close(self):
        self._process.kill()
        self._process.wait(timeout=10)
        self._process.stdin.close()
        self._reader.join(timeout=10)
        self._process.stdout.close()

    # --- the protocol

    def _write(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        with self._lock:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            self._process.stdin.flush()

    def _read(self):
        while (message := self._message()) is not None:
            if "method" in message and "id" in message:
                self._write({"id": message["id"], "result": self._answer(message)})
            elif message.get("method") == "textDocument/publishDiagnostics":
                found = self._diagnostics.get(message["params"]["uri"])
                if found is not None:
                    found.put(message["params"]["diagnostics"])
            elif "id" in message and message["id"] in self._answers:
                self._answers[message["id"]].put(message)

    def _answer(self, message):
        if message["method"] == "workspace/configuration":
            return [self._settings.get(item.get("section")) for item in message["params"]["items"]]
        return None

    def _message(self):
        length = 0
        while (line := self._process.stdout.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return json.loads(self._process.stdout.read(length)) if length else None
