"""Can a face that was taken away be brought back? See ``__main__``."""
