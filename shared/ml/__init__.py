"""What the model is and how a photo becomes its input: pure functions of bytes, arrays and the spec.

Training, evaluation and serving all call these, so they cannot disagree. Only numpy, Pillow and
pydantic are imported here; `network` loads torch when it is called, never on import.
"""
