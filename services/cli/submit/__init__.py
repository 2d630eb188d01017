"""`detector submit`: photos in, verdicts out."""
