"""What a file says of its own origin: C2PA, IPTC, EXIF, XMP, PNG text. Pure."""
