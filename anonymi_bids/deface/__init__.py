"""The methods that remove a face, and the carrying of regions to other images."""
