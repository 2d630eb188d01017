"""What the model is, and how a photo becomes its input and a logit a verdict: pure functions.

Training, evaluation and serving all call these, so they cannot disagree. They need only numpy,
Pillow and pydantic; `network` and `torch_compat` need torch and are imported only where it is.
"""
