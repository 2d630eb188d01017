"""Prints the pins of the present environment, for constraints.txt."""

from importlib.metadata import distributions

# Not ours to pin: the project itself, and what a virtual environment brings.
_LEFT_OUT = {"ai-product-photo-detector", "pip", "setuptools", "wheel"}


def pins() -> list[str]:
    """Return `name==version` of every installed distribution, sorted.

    A local version (`2.13.0+cpu`) loses its suffix, so that the same pin takes the CPU build where
    one is offered and the CUDA build elsewhere.
    """
    found = {
        d.metadata["Name"].lower(): d.version.split("+")[0]
        for d in distributions()
        if d.metadata["Name"].lower() not in _LEFT_OUT
    }
    return [f"{name}=={version}" for name, version in sorted(found.items())]


if __name__ == "__main__":
    print("# Written by `make constraints`: every version that CI has tested together.")
    print("\n".join(pins()))
