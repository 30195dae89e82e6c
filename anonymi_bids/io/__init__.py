"""Reading and writing files; the only users of nibabel."""
