"""Digital people: heads of nobody."""
