"""The face recogniser against originals and releases of digital people."""
