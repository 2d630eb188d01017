"""A reader of manifests that never answers: `python -m tests.support.hanging_child`."""

import time

if __name__ == "__main__":
    while True:
        time.sleep(1)
