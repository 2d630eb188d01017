"""What every request meets: protocol, upload guard, context, problems, responses, pages, health."""
