"""What get_data and get_model share: the table downloads.json, files that are checked before they get their name, errors.

A file in the table has a `name`, `bytes` and `sha256`. It is fetched as these say; without them it can only be copied:
  path          in the source repository at its commit
  member        in the zip archive at `path`, or in the wheel of a model; without folders if only one member ends like this
"""
import contextlib
import difflib
import hashlib
import json
import os
import signal
import sys
import zipfile
import zlib

TOOLS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TOOLS)
TABLE = os.path.join(TOOLS, "downloads.json")
CHUNK_BYTES = 1 << 20


class Problem(Exception):
    """An error whose text is all that the user needs."""


def table():
    with open(TABLE, encoding="utf-8") as file:
        return json.load(file)


# ---- arguments; what is wrong with them ends the program with exit code 2 ----

def chosen(parser, kind, name, entries):
    """The entry of this name."""
    if name not in entries:
        near = difflib.get_close_matches(name, entries, 1, 0.4)
        hint = f" (did you mean {near[0]}?)" if near else ""
        parser.error(f"unknown {kind} {name}{hint}; expected one of: {', '.join(entries)}")
    return entries[name]


def output_folder(parser, out, default, name):
    """The folder OUT/NAME, which must not be among the sources; OUT is out/`default` in the checkout if it is None."""
    if out is None:
        return os.path.relpath(os.path.join(ROOT, "out", default, name))
    folder = os.path.join(out, name)
    if os.path.relpath(os.path.realpath(folder), os.path.realpath(ROOT)).split(os.sep)[0] not in (os.pardir, "out"):
        parser.error(f"--out {out} is among the sources; expected a folder in out/ or outside of the checkout")
    return folder


# ---- files ----

def measured(path):
    """Size and SHA-256 of a file."""
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def require_same(origin, file, size, sha256):
    if (size, sha256) != (file["bytes"], file["sha256"]):
        raise Problem(f"{origin}: expected {file['bytes']} bytes with SHA-256 {file['sha256']}, "
                      f"got {size} bytes with SHA-256 {sha256}; nothing of it was kept")


def is_complete(folder, file):
    path = os.path.join(folder, file["name"])
    return (os.path.isfile(path) and os.path.getsize(path) == file["bytes"]
            and measured(path) == (file["bytes"], file["sha256"]))


@contextlib.contextmanager
def replacing(path):
    """A temporary file to write to, which gets the name `path` when the block succeeds, and is removed when it does not."""
    partial = f"{path}.{os.getpid()}.partial"
    try:
        with open(partial, "wb") as output:
            yield output
        os.replace(partial, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(partial)


def write_checked(folder, file, stream, origin):
    """Writes what `stream` reads to the folder. Content other than the table's is a Problem, which names its `origin`."""
    path = os.path.join(folder, file["name"])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with replacing(path) as output:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            if size > file["bytes"]:
                raise Problem(f"{origin}: expected {file['bytes']} bytes, got more; nothing of it was kept")
            output.write(chunk)
        require_same(origin, file, size, digest.hexdigest())


def write_licence(folder, entry):
    """Writes LICENCE.txt: what has to stay with the files when they are passed on."""
    titles = {"what": "What", "licence": "Licence", "licence_read_in": "Licence read in", "source": "Source",
              "commit": "Commit", "citation": "Citation", "changes": "Changes"}
    with replacing(os.path.join(folder, "LICENCE.txt")) as output:
        for key, title in titles.items():
            if key in entry:
                output.write(f"{title}: {entry[key]}\n".encode())


def fetch_all(folder, entry, opened):
    """Makes the folder complete. `opened(file)` returns a stream and its origin; it is called only for what is missing."""
    fetched = 0
    try:
        for file in entry["files"]:
            if is_complete(folder, file):
                continue
            path = os.path.join(folder, file["name"])
            if os.path.lexists(path):
                print(f"{path} is not what it should be and is fetched again", file=sys.stderr)
            stream, origin = opened(file)
            with stream:
                write_checked(folder, file, stream, origin)
            fetched += 1
        write_licence(folder, entry)
    finally:
        subfolders = {os.path.dirname(os.path.join(folder, file["name"])) for file in entry["files"]}
        for subfolder in sorted(subfolders | {folder}, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(subfolder)  # succeeds if it is empty
    there = len(entry["files"]) - fetched
    print(f"{folder}: files fetched: {fetched}, already there: {there}; licence: {entry['licence']}")


class Archive:
    """Members of a zip archive, as streams whose errors are Problems."""

    class Member:
        def __init__(self, archive, name):
            self.origin = f"{archive.origin}: {name}"
            self.stream = attempt_zip(archive.origin, lambda: archive.zip.open(name))

        def read(self, size):
            return attempt_zip(self.origin, lambda: self.stream.read(size))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.stream.close()

    def __init__(self, file, origin):
        self.origin = origin
        self.zip = attempt_zip(origin, lambda: zipfile.ZipFile(file))

    def opened(self, member):
        names = [name for name in self.zip.namelist() if name == member or name.endswith("/" + member)]
        if len(names) != 1:
            raise Problem(f"{self.origin}: expected one member {member}, found {len(names)}")
        stream = self.Member(self, names[0])
        return stream, stream.origin


def attempt_zip(origin, action):
    try:
        return action()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Problem(f"{origin}: not a readable zip archive ({error})") from error


# ---- the program ----

class Stopped(BaseException):
    """A signal asked the program to end."""


def run(name, main):
    """Problems and errors of the system are one line and exit code 1. A signal that ends the program lets it clean up."""
    signals = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
               if signal.getsignal(number) != signal.SIG_IGN]  # as under nohup

    def stop(number, _):
        for each in signals:
            signal.signal(each, signal.SIG_IGN)  # a second one must not disturb the cleanup
        raise Stopped(number)

    for number in signals:
        signal.signal(number, stop)
    try:
        main()
    except Problem as problem:
        sys.exit(f"{name}: {problem}")
    except OSError as error:
        sys.exit(f"{name}: {error.filename + ': ' if error.filename else ''}{error.strerror or error}")
    except Stopped as stopped:
        print(f"{name}: interrupted; another run continues", file=sys.stderr)
        sys.exit(128 + stopped.args[0])
