"""Run supervisord so that it ends, in order, when the process that started it ends.

`python -m infra.local.supervisord ARGUMENTS…`; standard input is a pipe whose other end the
starter holds. If the starter is killed, even with SIGKILL, the kernel closes that end.
"""

import os
import signal
import sys
import threading

from supervisor import supervisord


def _stop_when_input_closes() -> None:
    while os.read(0, 4096):
        pass
    # supervisord's own handler stops every program, the last started first.
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Become supervisord with this process's arguments."""
    # Supervisord forks for each program. That is safe beside this thread: it holds no lock, it
    # only waits inside read().
    threading.Thread(target=_stop_when_input_closes, daemon=True).start()
    supervisord.main(sys.argv[1:])


if __name__ == "__main__":
    main()
