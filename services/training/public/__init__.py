"""Training of the package's members on public data sets, for those with a GPU and the internet.

Readers stream a data set's own files into the training store of `services.training.eyes.store`;
the members are then trained as there. docs/training.md tells how to start it.
"""
