"""From the body of a request to stored photos and a job: parsed, checked, stored, committed."""
