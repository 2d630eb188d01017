"""Fine-tuning: augmented rounds, the optimiser, the probe that it starts from."""
