"""Reads the Dockerfile and the compose files the way the tests need them."""

import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shared.core.settings import REPOSITORY_ROOT

DOCKERFILE = REPOSITORY_ROOT / "infra" / "docker" / "Dockerfile"
COMPOSE = REPOSITORY_ROOT / "docker-compose.yml"
OVERRIDES = sorted(DOCKERFILE.parent.glob("compose.*.yml"))
# name, then `-default`, `:-default`, `:?message` …, as in ${NAME:-default}
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?:(:?[-?])([^}]*))?\}")


@dataclass(frozen=True)
class Copy:
    """One COPY; `stage` is what `--from` names."""

    sources: tuple[str, ...]
    destination: str
    stage: str | None


@dataclass(frozen=True)
class Image:
    """One target with everything it inherits, in order."""

    instructions: tuple[tuple[str, str], ...]

    def values(self, keyword: str) -> list[str]:
        """Return the arguments of every `keyword` instruction."""
        return [value for name, value in self.instructions if name == keyword]

    @property
    def environment(self) -> dict[str, str]:
        """What ENV sets."""
        pairs = (pair for value in self.values("ENV") for pair in shlex.split(value))
        return dict(pair.split("=", 1) for pair in pairs)

    @property
    def command(self) -> list[str]:
        """CMD, which must have the exec form."""
        command = json.loads(self.values("CMD")[-1])
        assert isinstance(command, list)
        return command

    @property
    def health_command(self) -> list[str] | None:
        """HEALTHCHECK's command, which must have the exec form; None for NONE."""
        last = self.values("HEALTHCHECK")[-1]
        return None if last == "NONE" else list(json.loads(last.partition("CMD ")[2]))

    @property
    def copies(self) -> list[Copy]:
        """Every COPY."""
        return [_copy(value) for value in self.values("COPY")]

    def lay_out(self, directory: Path) -> None:
        """Copy what the image takes from the repository to below `directory`."""
        for copy in self.copies:
            for source in copy.sources if copy.stage is None else ():
                origin, target = REPOSITORY_ROOT / source, directory / copy.destination
                target.parent.mkdir(parents=True, exist_ok=True)
                if origin.is_dir():
                    ignore = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(origin, target, ignore=ignore)
                else:
                    shutil.copy(origin, target)


def read_images() -> dict[str, Image]:
    """Return every stage of the Dockerfile by name; a stage includes the one it starts from."""
    images: dict[str, Image] = {}
    name, found = "", []
    text = re.sub(r"\\\n(?:\s*#.*\n)*", " ", DOCKERFILE.read_text())
    for line in text.splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword == "FROM":
            base, _, name = value.partition(" AS ")
            found = list(images[base].instructions) if base in images else []
        if keyword and not keyword.startswith("#"):
            found.append((keyword, value.strip()))
            images[name] = Image(tuple(found))
    return images


def read_compose(path: Path) -> dict[str, Any]:
    """Return a compose file as it is written, YAML's anchors and merges resolved."""
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    return content


def variables(text: str) -> dict[str, str | None]:
    """Return the variables that a compose file asks for; None stands for a required one."""
    return {
        name: None if "?" in operator else default
        for name, operator, default in _VARIABLE.findall(text)
    }


def interpolate(text: str) -> str:
    """Replace variables by their defaults, and required ones by `secret`."""
    return _VARIABLE.sub(lambda m: "secret" if "?" in (m[2] or "") else (m[3] or ""), text)


def _copy(value: str) -> Copy:
    words = shlex.split(value)
    flags = dict(w[2:].partition("=")[::2] for w in words if w.startswith("--"))
    *sources, destination = (w for w in words if not w.startswith("--"))
    if destination.endswith("/"):
        assert len(sources) >= 1
    return Copy(tuple(sources), destination, flags.get("from"))
