"""The networks of a package of members: weights once, a graph for each runtime."""
