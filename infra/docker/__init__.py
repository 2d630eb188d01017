"""Container images: the Dockerfile, overrides of docker-compose.yml, and the health check."""
