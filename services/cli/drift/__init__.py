"""`detector drift`: whether predictions have shifted, why, and a rehearsal of it."""
