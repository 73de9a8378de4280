"""What a process that is to be the local cloud has to do about its environment and its signals."""

from __future__ import annotations

import os
import signal
import threading


def forget_settings() -> None:
    """Drops the user's AWS and proxy settings: a profile may not exist, a proxy leads away from here.

    To be called before moto is imported, which reads them.
    """
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


def let_children_be_signalled() -> None:
    """Lets children hear the signals that this process ignores.

    Whoever starts it with ``nohup``, or in the background of a script, has it ignore some; its children would
    ignore them too, and no container does. A handler that does nothing is not inherited.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread may
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
