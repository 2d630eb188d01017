"""Where photos come from: git directories, published packages, single downloads, originals."""
