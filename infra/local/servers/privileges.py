"""Run PostgreSQL as another user where this process is root, because PostgreSQL refuses root."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import LocalStackError

# Accounts that exist already; none is created on the machine.
_ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True)
class PostgresUser:
    """The user that PostgreSQL runs as; `account` is None for: as this process."""

    account: pwd.struct_passwd | None

    @classmethod
    def for_directory(cls, directory: Path) -> "PostgresUser":
        """Choose: this user, or, for root, the directory's owner or an unprivileged account.

        Raises:
            LocalStackError: this is root and there is no account to use.
        """
        if os.geteuid() != 0:
            return cls(None)
        owner = directory.stat().st_uid
        for account in pwd.getpwall():
            if account.pw_uid == owner != 0:
                return cls(account)
        for name in _ACCOUNTS:
            try:
                return cls(pwd.getpwnam(name))
            except KeyError:
                continue
        raise LocalStackError(
            f"PostgreSQL refuses to run as root, and no account {' or '.join(_ACCOUNTS)} exists.\n"
            "What to do: start as a normal user, or `useradd --system postgres`."
        )

    def own(self, *paths: Path) -> None:
        """Make this user the owner of `paths`."""
        if self.account is not None:
            for path in paths:
                os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def prefix(self) -> list[str]:
        """Return the words to put before a command so that it runs as this user.

        Root's directories (/root, pytest's temporary ones) are closed to other users. The one
        capability left to the process, CAP_DAC_OVERRIDE, opens them without changing their modes;
        all others are dropped.

        Raises:
            LocalStackError: util-linux's `setpriv` is missing.
        """
        if self.account is None:
            return []
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise LocalStackError(
                "PostgreSQL refuses to run as root, and `setpriv` (package util-linux), which "
                "starts it as another user, is missing.\n"
                "What to do: install util-linux, or start as a normal user."
            )
        user = [
            setpriv,
            f"--reuid={self.account.pw_uid}",
            f"--regid={self.account.pw_gid}",
            "--clear-groups",
        ]
        capability = [
            "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override",
            "--bounding-set=-all,+dac_override",
        ]
        # A container may withhold the capability; then the directories must be open to the user.
        probe = subprocess.run([*user, *capability, "true"], capture_output=True, check=False)
        return [*user, *capability] if probe.returncode == 0 else user
