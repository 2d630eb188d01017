"""Jobs and their images: rows, leases, results, and who lost them."""
