"""What several test folders share: real servers, service processes, an API client, photos."""
