"""Containers as folders: each has a working directory and an environment, made when first needed."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Every process of a container inherits it: by it the ones are found that left their session.
MARK = "TASKMEDIC_SANDBOX"
MAIN_LIVES_S = 86400
ROUNDS = 100  # a process that the kernel holds back may never go
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# A container sees its own processes and its own file system. Here all containers share one machine, so what
# lists these is told to keep to the container's, and shows nothing of the machine it runs on.
_OWN = {
    "bin/ps": f"""#!/bin/sh
own=$(grep -lsz "^{MARK}=${MARK}$" /proc/[0-9]*/environ | cut -d/ -f3 | paste -sd, -)
for word; do
  shift
  case $word in -eo) word=-o ;; -ef) word=-f ;; -e | -A | ax) continue ;; aux) word=u ;; esac
  set -- "$@" "$word"
done
exec /bin/ps "$@" -p "${{own:-$$}}"
""",
    "bin/df": """#!/bin/sh
exec /bin/df "$@" .
""",
}


class NotExecutable(Exception):
    """The command's first word names nothing that can be run; the text is the agent's."""


@dataclass(frozen=True)
class Image:
    """What a container starts with, beside the machine's own programs.

    Attributes:
        env: Environment of the container.
        files: Path in the working directory to text; what is under ``bin/`` is a program, and found first.
        without: Programs it lacks, by name: ``{"sh", "bash"}`` is an image with no shell.
        main: What its main process calls itself; there is none without it.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    main: str = ""


class Box:
    """One container's folder."""

    def __init__(self, home: Path, mark: str, image: Image, lock: threading.Lock) -> None:
        """``lock`` is held while the folder is made."""
        self._home = home
        self._image = image
        self._mark = mark
        self._lock = lock

    @property
    def home(self) -> Path:
        """The working directory; made at the first call."""
        with self._lock:
            if not self._home.exists():
                self._make()
        return self._home

    def _make(self) -> None:
        self._home.mkdir()
        for name, text in {**_OWN, **self._image.files}.items():
            path = self._home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if name.startswith("bin/") else 0o644)
        # Beside it, for a host's ``docker exec``.
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in self.env.items()]
        self._home.with_name(f"{self._home.name}.env").write_text("".join(lines))
        if self._image.main:
            self._start_main()

    def _start_main(self) -> None:
        """A process of that name that sleeps; it is nobody's child, so nobody needs to wait for it."""
        script = f'(exec -a "$0" sleep {MAIN_LIVES_S}) < /dev/null > /dev/null 2>&1 &'
        with contextlib.suppress(FileNotFoundError):  # a machine without bash: a container without main
            subprocess.run(
                ["bash", "-c", script, self._image.main], cwd=self._home, env=self.env, check=False
            )

    @property
    def env(self) -> dict[str, str]:
        """The environment a command gets; nothing of this process's own gets in."""
        path = self._image.env.get("PATH", DEFAULT_PATH)
        return {
            "HOME": str(self._home),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            **self._image.env,
            "PATH": f"{self._home / 'bin'}:{path}",
            MARK: self._mark,
        }

    def program(self, word: str) -> str:
        """The absolute path of the program ``word`` names.

        Raises:
            NotExecutable: There is none; the message is what Go's os/exec says.
        """
        home = self.home
        missing = Path(word).name in self._image.without
        if "/" in word:
            path = home / word
            if missing or not path.exists():
                raise NotExecutable(f"fork/exec {word}: no such file or directory")
            if path.is_dir() or not os.access(path, os.X_OK):
                raise NotExecutable(f"fork/exec {word}: permission denied")
            return str(path)
        found = None if missing else shutil.which(word, path=self.env["PATH"])
        if found is None:
            raise NotExecutable(f'exec: "{word}": executable file not found in $PATH')
        return found


class Sandbox:
    """All containers' folders under one temporary directory, and the end of every process in them."""

    def __init__(self) -> None:
        self._id = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._made: Path | None = None

    @property
    def _root(self) -> Path:
        """Made when it is first needed: a process that is killed before that leaves nothing behind."""
        with self._lock:
            if self._made is None:
                self._made = Path(tempfile.mkdtemp(prefix="taskmedic-containers-"))
            return self._made

    def path(self, container: str) -> Path:
        """Where the folder of the container with that runtime id is, or will be."""
        return self._root / container

    def box(self, container: str, image: Image) -> Box:
        """The folder of the container with that runtime id."""
        return Box(self.path(container), f"{self._id}/{container}", image, self._lock)

    def end(self, container: str) -> None:
        """End the container's processes and remove its folder."""
        if self._made is None:
            return
        home = self._made / container
        if home.exists():
            _end_marked(f"{self._id}/{container}")
            shutil.rmtree(home, ignore_errors=True)
            home.with_name(f"{container}.env").unlink(missing_ok=True)

    def close(self) -> None:
        """End the processes of all containers and remove every folder."""
        if self._made:
            _end_marked(f"{self._id}/")
            shutil.rmtree(self._made, ignore_errors=True)


def _end_marked(prefix: str) -> None:
    """SIGKILL to every process whose mark begins so, until none is left: one may fork meanwhile."""
    for _ in range(ROUNDS):
        if not sum(_kill(pid) for pid in _marked(prefix)):
            return


def _marked(prefix: str) -> Iterator[int]:
    """Process ids by their environment. Linux only: elsewhere a session's own end is all there is."""
    if sys.platform != "linux":
        return
    wanted = f"{MARK}={prefix}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if any(value.startswith(wanted) for value in (entry / "environ").read_bytes().split(b"\0")):
                    yield int(entry.name)


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
