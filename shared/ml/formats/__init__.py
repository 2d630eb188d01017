"""What a file's bytes tell before a pixel is decoded: format, size, compression."""
