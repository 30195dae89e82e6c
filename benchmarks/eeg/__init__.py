"""What de-identification does to the geometry and forward models of EEG."""
