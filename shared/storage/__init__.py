"""Where the image bytes lie: a port, the S3 implementation and one in memory."""
