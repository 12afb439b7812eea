"""An interpreter that has the packages which a comparison needs."""
import os
import subprocess
import sys


def interpreter(requirements):
    """$PYTHON, or that of a virtual environment with these packages ("torch==2.15.0", ...) in the user's cache, which is
    created the first time."""
    if os.environ.get("PYTHON"):
        return os.environ["PYTHON"]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.path.join(cache, "shoal", "-".join(requirements).replace("==", "-"))
    python = os.path.join(folder, "bin/python")
    ready = os.path.join(folder, "ready")
    if not os.path.exists(ready):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
        open(ready, "w").close()
    return python


def run_again(script, requirements):
    """Replaces this process, which lacks some of the packages, with one of `interpreter`."""
    python = interpreter(requirements)
    if os.path.abspath(python) == os.path.abspath(sys.executable):
        sys.exit(f"{os.path.basename(script)}: {python} does not have {', '.join(requirements)}; set PYTHON to an interpreter "
                 f"that has them, or unset it")
    os.execv(python, [python, os.path.abspath(script)] + sys.argv[1:])
