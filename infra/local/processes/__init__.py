"""Programs under supervisor: started, watched, controlled, ended."""
