"""A model of several finished runs: their weights side by side, the mean of their logits."""

import json
from pathlib import Path

import torch

from services.training.config import RunConfig
from services.training.errors import TrainingError
from services.training.fit.training import BEST, HISTORY
from shared.ml.network import build_backbone


def join_members(config: RunConfig, directory: Path) -> Path:
    """Write the members' best weights as one state dict into `directory`; return its path.

    Its history has one line: the members' rounds and minutes of training together.

    Raises TrainingError when a member's weights are missing or do not fit the architecture.
    """
    state: dict[str, torch.Tensor] = {}
    rounds, minutes = 0, 0.0
    for number, name in enumerate(config.model.members):
        path = directory.parent / name / BEST
        if not path.is_file():
            raise TrainingError(f"{path} is missing: train {name} first")
        weights = torch.load(path, map_location="cpu", weights_only=True)
        last = json.loads((path.parent / HISTORY).read_text(encoding="utf-8").splitlines()[-1])
        rounds, minutes = rounds + last["round"], minutes + last["minutes"]
        state |= {f"members.{number}.{key}": value for key, value in weights.items()}
    try:
        build_backbone(config.model.architecture).load_state_dict(state)
    except RuntimeError as error:
        raise TrainingError(f"the members do not fit {config.model.architecture}") from error
    directory.mkdir(parents=True, exist_ok=True)
    torch.save(state, directory / BEST)
    record = {"round": rounds, "minutes": round(minutes, 2), "members": config.model.members}
    (directory / HISTORY).write_text(json.dumps(record) + "\n", encoding="utf-8")
    return directory / BEST
