"""Marketplaces: their limits, their API keys, what they have had judged."""
