"""From a folder of labelled photos to a model package: data, fit, calibrate, evaluate, package."""
